/* exp(sin(x²)) and its gradient, each in one pass, in single and double precision.
 *
 * sin and cos: s = x² is reduced to s - k·π/2, with π/2 in three parts (Cody and Waite, Software Manual for the
 * Elementary Functions, 1980); with a fused multiply-add the first part leaves no error. On [-π/4, π/4] the
 * polynomials are those of Cephes (single) and of fdlibm (double). exp is needed on [-1, 1] only: reduced by k·ln 2,
 * then the polynomial of Cephes (single) or Taylor's (double). Above LIMIT, and for infinities and NaN, libm
 * computes sin and cos.
 *
 * Not with -ffast-math: the reduction needs IEEE arithmetic, and GCC would link code that makes the whole process
 * flush subnormal numbers to zero. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#if !defined(__FMA__) && !defined(__aarch64__)
#error "expected a processor with fused multiply-add"
#endif

/* The bits of a number, and a number of its bits. */
static inline int32_t bits_f32(float value) { int32_t bits; memcpy(&bits, &value, sizeof bits); return bits; }
static inline float real_f32(int32_t bits) { float value; memcpy(&value, &bits, sizeof value); return value; }
static inline int64_t bits_f64(double value) { int64_t bits; memcpy(&bits, &value, sizeof bits); return bits; }
static inline double real_f64(int64_t bits) { double value; memcpy(&value, &bits, sizeof value); return value; }

/* Adding this number rounds to an integer, which is then in the low bits. */
#define SHIFT_F32 0x1.8p23f
#define SHIFT_F64 0x1.8p52
/* Up to this limit s·2/π is rounded to the nearest integer, except very close to a half. */
#define LIMIT_F32 0x1p16f
#define LIMIT_F64 0x1p40

static inline void sine_cosine_f32(float s, float *sine, float *cosine)
{
    float shifted = fmaf(s, 0x1.45f306p-1f, SHIFT_F32), k = shifted - SHIFT_F32;
    int32_t quadrant = bits_f32(shifted);
    float r = fmaf(-k, -0x1.ee59dap-50f, fmaf(-k, -0x1.777a5cp-25f, fmaf(-k, 0x1.921fb6p+0f, s)));
    float z = r * r;
    float p = fmaf(fmaf(-1.9515295891e-4f, z, 8.3321608736e-3f), z, -1.6666654611e-1f);
    p = fmaf(p, z * r, r);
    float q = fmaf(fmaf(2.443315711809948e-5f, z, -1.388731625493765e-3f), z, 4.166664568298827e-2f);
    q = fmaf(q, z * z, fmaf(-0.5f, z, 1.0f));
    float a = quadrant & 1 ? q : p, b = quadrant & 1 ? p : q;
    *sine = real_f32(bits_f32(a) ^ (int32_t)((uint32_t)(quadrant & 2) << 30));
    *cosine = real_f32(bits_f32(b) ^ (int32_t)((uint32_t)((quadrant + 1) & 2) << 30));
}

static inline void sine_cosine_f64(double s, double *sine, double *cosine)
{
    double shifted = fma(s, 0x1.45f306dc9c883p-1, SHIFT_F64), k = shifted - SHIFT_F64;
    int64_t quadrant = bits_f64(shifted);
    double r = fma(-k, 0x1.921fb54442d18p+0, s);
    r = fma(-k, -0x1.f1976b7ed8fbcp-110, fma(-k, 0x1.1a62633145c07p-54, r));
    double z = r * r;
    double p = fma(1.58969099521155010221e-10, z, -2.50507602534068634195e-8);
    p = fma(fma(p, z, 2.75573137070700676789e-6), z, -1.98412698298579493134e-4);
    p = fma(fma(p, z, 8.33333333332248946124e-3), z, -1.66666666666666324348e-1);
    p = fma(p, z * r, r);
    double q = fma(-1.13596475577881948265e-11, z, 2.08757232129817482790e-9);
    q = fma(fma(q, z, -2.75573143513906633035e-7), z, 2.48015872894767294178e-5);
    q = fma(fma(q, z, -1.38888888888741095749e-3), z, 4.16666666666666019037e-2);
    q = fma(q, z * z, fma(-0.5, z, 1.0));
    double a = quadrant & 1 ? q : p, b = quadrant & 1 ? p : q;
    *sine = real_f64(bits_f64(a) ^ (int64_t)((uint64_t)(quadrant & 2) << 62));
    *cosine = real_f64(bits_f64(b) ^ (int64_t)((uint64_t)((quadrant + 1) & 2) << 62));
}

static inline float exp_f32(float t)
{
    float shifted = fmaf(t, 0x1.715476p+0f, SHIFT_F32), k = shifted - SHIFT_F32;
    float r = fmaf(-k, -0x1.05c61p-29f, fmaf(-k, 0x1.62e43p-1f, t));
    float p = fmaf(1.9875691500e-4f, r, 1.3981999507e-3f);
    p = fmaf(fmaf(p, r, 8.3334519073e-3f), r, 4.1665795894e-2f);
    p = fmaf(fmaf(p, r, 1.6666665459e-1f), r, 5.0000001201e-1f);
    p = fmaf(p, r * r, r) + 1.0f;
    return real_f32(bits_f32(p) + (int32_t)((uint32_t)bits_f32(shifted) << 23));
}

static inline double exp_f64(double t)
{
    double shifted = fma(t, 0x1.71547652b82fep+0, SHIFT_F64), k = shifted - SHIFT_F64;
    double r = fma(-k, 0x1.abc9e3b39803fp-56, fma(-k, 0x1.62e42fefa39efp-1, t));
    double p = fma(1.0 / 6227020800.0, r, 1.0 / 479001600.0);
    p = fma(fma(p, r, 1.0 / 39916800.0), r, 1.0 / 3628800.0);
    p = fma(fma(p, r, 1.0 / 362880.0), r, 1.0 / 40320.0);
    p = fma(fma(p, r, 1.0 / 5040.0), r, 1.0 / 720.0);
    p = fma(fma(p, r, 1.0 / 120.0), r, 1.0 / 24.0);
    p = fma(fma(p, r, 1.0 / 6.0), r, 0.5);
    p = fma(p, r * r, r) + 1.0;
    return real_f64(bits_f64(p) + (int64_t)((uint64_t)bits_f64(shifted) << 52));
}

/* The results of a block are still in the first cache when the code finds that some need libm. */
#define BLOCK 1024
#define IN_BLOCK(i) (n - (i) < BLOCK ? n - (i) : BLOCK)

#ifdef _OPENMP
#define EACH_BLOCK \
    _Pragma("omp parallel for schedule(static) num_threads(threads) if(threads > 1)") \
    for (int64_t i = 0; i < n; i += BLOCK)
#else
#define EACH_BLOCK (void)threads; for (int64_t i = 0; i < n; i += BLOCK)
#endif

#define KERNELS(kind, real, LIMIT, libm_sin, libm_cos, libm_exp) \
    static void value_block_##kind(const real *restrict x, real *restrict y, int64_t n) \
    { \
        int beyond = 0; \
        for (int64_t i = 0; i < n; i++) { \
            real s = x[i] * x[i], sine, cosine; \
            beyond |= !(s <= LIMIT); \
            sine_cosine_##kind(s, &sine, &cosine); \
            y[i] = exp_##kind(sine); \
        } \
        for (int64_t i = 0; beyond && i < n; i++) { \
            real s = x[i] * x[i]; \
            if (!(s <= LIMIT)) y[i] = libm_exp(libm_sin(s)); \
        } \
    } \
    static void gradient_block_##kind(const real *restrict x, const real *restrict y, \
                                      const real *restrict g, real *restrict d, int64_t n) \
    { \
        int beyond = 0; \
        for (int64_t i = 0; i < n; i++) { \
            real s = x[i] * x[i], sine, cosine; \
            beyond |= !(s <= LIMIT); \
            sine_cosine_##kind(s, &sine, &cosine); \
            d[i] = (x[i] + x[i]) * cosine * y[i] * g[i]; \
        } \
        for (int64_t i = 0; beyond && i < n; i++) { \
            real s = x[i] * x[i]; \
            if (!(s <= LIMIT)) d[i] = (x[i] + x[i]) * libm_cos(s) * y[i] * g[i]; \
        } \
    } \
    /* y = exp(sin(x²)) */ \
    void value_##kind(const real *x, real *y, int64_t n, int threads) \
    { \
        EACH_BLOCK value_block_##kind(x + i, y + i, IN_BLOCK(i)); \
    } \
    /* d = g·y·cos(x²)·2x, from the computed y */ \
    void gradient_##kind(const real *x, const real *y, const real *g, real *d, int64_t n, int threads) \
    { \
        EACH_BLOCK gradient_block_##kind(x + i, y + i, g + i, d + i, IN_BLOCK(i)); \
    }

KERNELS(f32, float, LIMIT_F32, sinf, cosf, expf)
KERNELS(f64, double, LIMIT_F64, sin, cos, exp)
