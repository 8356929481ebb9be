// exp, log and the normal distribution, without branches, tables or calls.
//
// The polynomial coefficients were fitted in 110-digit arithmetic: exp and log by interpolation in Chebyshev points (which
// is minimax to the last bit here), the Mills ratio by linearised rational least squares with Lawson re-weighting (40
// passes, nodes a = 3(1+t)/(1-t) with t Chebyshev-spaced). tests/pricing/test_native.py holds them against mpmath.
#pragma once

#include "lanes.hpp"

namespace axiom {
namespace AXIOM_ISA {

// Splitting ln 2: the leading part has 32 significant bits, so that n * LN2_HI is exact for every exponent n.
constexpr double LN2_HI = 0.6931471803691238;
constexpr double LN2_LO = 1.9082149292705877e-10;
constexpr double LOG2_E = 1.4426950408889634;
constexpr double SQRT_2 = 1.4142135623730951;
constexpr double INV_SQRT_2PI = 0.3989422804014327;
constexpr double LOG_SQRT_2PI = 0.9189385332046728;

// e^x, relative error below 3e-16; x is clamped to [-708, 709], so that the result is never zero, subnormal or infinite.
template <class V> AXIOM_FN V exponential(V x) {
    x = x < -708.0 ? splat<V>(-708.0) : x;
    x = x > 709.0 ? splat<V>(709.0) : x;
    // Adding 1.5 * 2^52 rounds to the nearest integer and leaves that integer in the low bits.
    const double shift = 6755399441055744.0;
    const V k = x * LOG2_E + shift;
    const V n = k - shift;
    const V r = (x - n * LN2_HI) - n * LN2_LO;
    // 1 + r + r^2 q(r), |r| <= ln(2)/2; q in Estrin form, because its dependency chain is short.
    const V r2 = r * r;
    const V r4 = r2 * r2;
    const V q01 = 0.5000000000000001 + r * 0.16666666666666669;
    const V q23 = 0.04166666666662413 + r * 0.008333333333330062;
    const V q45 = 0.0013888888917213717 + r * 0.00019841269863053618;
    const V q67 = 2.4801521295954376e-05 + r * 2.7557268459997064e-06;
    const V q89 = 2.7620088445409746e-07 + r * 2.510038549551032e-08;
    const V q = (q01 + r2 * q23) + r4 * ((q45 + r2 * q67) + r4 * q89);
    const V y = 1.0 + (r + r2 * q);
    return from_bits(to_bits(y) + (to_bits(k) << 52));
}

// (2 atanh(f) - 2f) / f^3 as a polynomial in z = f^2, for |f| <= (sqrt 2 - 1)/(sqrt 2 + 1).
template <class V> AXIOM_FN V log_series(V z) {
    const V z2 = z * z;
    const V c01 = 0.666666666666667 + z * 0.39999999999899444;
    const V c23 = 0.2857142862600327 + z * 0.22222211130259878;
    const V c45 = 0.18182889455674947 + z * 0.15331710618210773;
    return c01 + z2 * (c23 + z2 * (c45 + z2 * 0.14616585424888623));
}

constexpr std::int64_t MANTISSA = INT64_C(0x000fffffffffffff);
constexpr std::int64_t ONE_BITS = INT64_C(0x3ff0000000000000);
constexpr std::int64_t TWO52_BITS = INT64_C(0x4330000000000000);

// Mantissa in [1, 2) and biased exponent (as a double) of a positive normal number.
template <class V> AXIOM_FN V mantissa_of(V x) { return from_bits((to_bits(x) & MANTISSA) | ONE_BITS); }
template <class V> AXIOM_FN V exponent_of(V x) { return from_bits((to_bits(x) >> 52) | TWO52_BITS) - 4503599627370496.0; }

// ln(a/b) without forming a/b; both positive and normal. Relative error below 3e-16, also for a close to b.
template <class V> AXIOM_FN V log_ratio(V a, V b) {
    V ma = mantissa_of(a), mb = mantissa_of(b);
    V e = exponent_of(a) - exponent_of(b);
    const Bool<V> high = ma > SQRT_2 * mb;
    const Bool<V> low = mb > SQRT_2 * ma;
    e = high ? e + 1.0 : (low ? e - 1.0 : e);
    ma = high ? 0.5 * ma : ma;
    mb = low ? 0.5 * mb : mb;
    const V f = (ma - mb) / (ma + mb);
    const V z = f * f;
    return e * LN2_HI + (2.0 * f + (f * z * log_series(z) + e * LN2_LO));
}

template <class V> AXIOM_FN V logarithm(V x) { return log_ratio(x, splat<V>(1.0)); }

// The Mills ratio M(a) = N(-a)/phi(a) for a >= 0 as numerator / denominator. On [0, 39] the fit's relative error is
// 5.2e-17, and every coefficient is positive: nothing cancels. Beyond, it still tends to 1/a within 3e-12.
template <class V> struct Mills {
    V numerator, denominator;
};
template <class V> AXIOM_FN Mills<V> mills_fraction(V a) {
    const V a2 = a * a, a4 = a2 * a2, a8 = a4 * a4;
    const V p01 = 1.2533141373155001 + a * 1.942330031206198;
    const V p23 = 1.4890667130657333 + a * 0.7252592399443719;
    const V p45 = 0.2449004738907559 + a * 0.05921404393836173;
    const V p67 = 0.010250691338912592 + a * 0.0012293381735301071;
    const V p89 = 9.338635675284312e-05 + a * 3.4736174861611685e-06;
    const V q01 = 1.0 + a * 2.3476397046860282;
    const V q23 = 2.5612488150577217 + a * 1.71439570396101;
    const V q45 = 0.7820495877444352 + a * 0.2549643808019347;
    const V q67 = 0.060436435302230425 + a * 0.010344077684482178;
    const V q89 = 0.0012328117912154676 + a * 9.338635675070957e-05;
    const V p = (p01 + a2 * p23) + a4 * (p45 + a2 * p67) + a8 * p89;
    const V q = (q01 + a2 * q23) + a4 * (q45 + a2 * q67) + a8 * (q89 + a2 * 3.4736174861714714e-06);
    return {p, q};
}
template <class V> AXIOM_FN V mills(V a) {
    const Mills<V> m = mills_fraction(a);
    return m.numerator / m.denominator;
}
// M at two places for one division.
template <class V> AXIOM_FN void mills_pair(V a, V b, V &ma, V &mb) {
    const Mills<V> fa = mills_fraction(a), fb = mills_fraction(b);
    const V inverse = 1.0 / (fa.denominator * fb.denominator);
    ma = fa.numerator * (fb.denominator * inverse);
    mb = fb.numerator * (fa.denominator * inverse);
}

// 1 - a M(a) = -M'(a) for a >= 0, where forming it from M would cancel; relative error of the fit 7.6e-17.
template <class V> AXIOM_FN V mills_slope(V a) {
    const V a2 = a * a, a4 = a2 * a2, a8 = a4 * a4;
    const V p01 = 1.0 + a * 1.288127521851884;
    const V p23 = 0.8432126933144946 + a * 0.35797061274112485;
    const V p45 = 0.10723279335777311 + a * 0.023362952344742095;
    const V p67 = 0.0036969528427929785 + a * 0.00041089489077391527;
    const V p89 = 2.9342577808851144e-05 + a * 1.0438099748704198e-06;
    const V q01 = 1.0 + a * 2.5414416591673996;
    const V q23 = 3.0284374539110415 + a * 2.2387694972007695;
    const V q45 = 1.1439558473965994 + a * 0.4256382762805334;
    const V q67 = 0.11814758150397411 + a * 0.024589374659094623;
    const V q89 = 0.003784980563952586 + a * 0.00041402632090247284;
    const V qab = 2.9342577806802185e-05 + a * 1.0438099748797513e-06;
    const V p = (p01 + a2 * p23) + a4 * (p45 + a2 * p67) + a8 * p89;
    const V q = (q01 + a2 * q23) + a4 * (q45 + a2 * q67) + a8 * (q89 + a2 * qab);
    return p / q;
}

// phi(x); exactly zero beyond 37.5 standard deviations, where it is below 1e-305.
template <class V> AXIOM_FN V normal_density(V x) {
    return absolute(x) > 37.5 ? splat<V>(0.0) : INV_SQRT_2PI * exponential(-0.5 * x * x);
}

template <class V> AXIOM_FN V normal_cdf(V x) {
    const V tail = normal_density(x) * mills(smaller(absolute(x), splat<V>(38.0)));
    return x > 0.0 ? 1.0 - tail : tail;
}

}  // namespace AXIOM_ISA
}  // namespace axiom
