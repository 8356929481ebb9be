// Price to volatility, to the last digits that the price carries.
//
// The price is brought to its out-of-the-money time value beta in units of sqrt(FK), a function of x = -|ln(F/K)| and the
// total volatility s alone: b(x, s) = e^(x/2) N(x/s + s/2) - e^(-x/2) N(x/s - s/2). With h = |x|/s and t = s/2,
//     b' = exp(-(h^2 + t^2)/2)/sqrt(2 pi),  b''/b' = h^2/s - s/4,  b'''/b' = (b''/b')^2 - 3 h^2/s^2 - 1/4.
// A first guess in three zones, then a fixed number of Householder steps of fourth order: on b above the inflection point
// s_c = sqrt(2|x|), on 1/ln b below it, where b is flat, and on the logarithm of the distance to the upper bound near that.
//
// Source: P. Jaeckel, "Let's be rational", Wilmott, January 2015; the Mills-ratio form of b and the guess for deep
// out-of-the-money prices are this project's.
#pragma once

#include "european.hpp"

namespace axiom {
namespace AXIOM_ISA {

// The values of pricing.implied_vol.Status.
enum VolStatus : std::int64_t { VOL_OK, BELOW_INTRINSIC, ABOVE_BOUND, EXPIRED, NO_TIME_VALUE, INVALID, NOT_CONVERGED };

template <class V> struct TimeValue {
    V log;      // ln b, or ln(top - b) where asked for
    V b;        // b
    V ratio;    // b/b'
    V above;    // (top - b)/b', for s >= sqrt(2a) only
    V density;  // b'
};

// (M(h - t) - M(h + t)) for small t: the odd Taylor terms around h, from M' = h M - 1 and M^(n+1) = h M^(n) + n M^(n-1).
// Full relative accuracy for t <= 0.2 and h t <= 1, where the plain difference loses digits in proportion to 1/t.
template <class V> AXIOM_FN V mills_difference(V h, V t) {
    constexpr double INVERSE_FACTORIAL[] = {1.0 / 6, 1.0 / 120, 1.0 / 5040, 1.0 / 362880, 1.0 / 39916800, 1.0 / 6227020800, 1.0 / 1307674368000};
    const V slope = mills_slope(h);
    V even = mills(h), odd = -slope;
    V term = t, rest = splat<V>(0.0);
    for (int j = 1; j <= 7; ++j) {
        even = h * odd + (2 * j - 1) * even;
        odd = h * even + (2 * j) * odd;
        term = term * t * t;
        rest = rest + odd * term * INVERSE_FACTORIAL[j - 1];
    }
    return 2.0 * (t * slope - rest);
}

// b(x, s) for x = -a <= 0, s > 0, top = e^(x/2); `gap` asks for the logarithm of top - b, for s >= sqrt(2a) only.
template <class V> AXIOM_FN TimeValue<V> time_value(V a, V s, V top, Bool<V> gap) {
    const V h = a / s, t = 0.5 * s;
    const Mills<V> near = mills_fraction(absolute(h - t)), far = mills_fraction(h + t);
    const V inverse = 1.0 / (near.denominator * far.denominator);
    const V m_near = near.numerator * far.denominator, m_far = far.numerator * near.denominator;
    const V exponent = 0.5 * (h * h + t * t);
    TimeValue<V> out;
    out.density = INV_SQRT_2PI * exponential(-exponent);
    const Bool<V> small = (t <= 0.2) & (h * t <= 1.0);
    const Bool<V> tail = small | (h > t);  // b/b' is at hand: a difference of Mills ratios
    const V below = small ? mills_difference(h, t) : (m_near - m_far) * inverse;
    out.above = (m_near + m_far) * inverse;
    out.b = tail ? out.density * below : top - out.density * out.above;
    out.ratio = tail ? below : out.b / out.density;
    // Where b' is a factor its logarithm is known, and the product itself may underflow.
    const V argument = gap ? out.above : (tail ? below : out.b);
    out.log = logarithm(larger(argument, splat<V>(SMALLEST))) - (gap | tail ? exponent + LOG_SQRT_2PI : splat<V>(0.0));
    return out;
}

template <class V> struct Solved {
    V vol;
    Bits<V> status;
};

constexpr int HOUSEHOLDER_STEPS = 3;

template <class V> AXIOM_FN Solved<V> implied_volatility(V price, V F, V K, V T, V D, V c) {
    const V one = splat<V>(1.0), zero = splat<V>(0.0), nan = splat<V>(NOT_A_NUMBER);
    const Bool<V> valid = (F >= SMALLEST) & (K >= SMALLEST) & (D > 0.0) & (absolute(c) == 1.0) & is_finite(price) & is_finite(F) &
                          is_finite(K) & is_finite(D) & is_finite(T);
    F = valid ? F : one;
    K = valid ? K : one;
    const V value = (valid ? price : zero) / (valid ? D : one);
    const V intrinsic = larger(c * (F - K), zero);
    const V bound = c > 0.0 ? F : K;
    const V extra = value - intrinsic;
    // What a price in the money cannot tell from its intrinsic value: a few units in its last place.
    const V noise = larger(4.0 * 2.220446049250313e-16 * intrinsic, SMALLEST * square_root(F) * square_root(K));
    const Bool<V> under = extra < -noise;
    const Bool<V> nothing = extra <= noise;
    const Bool<V> over = value >= bound;
    const Bool<V> solvable = valid & !nothing & !over & (T > 0.0);

    const V a = larger(absolute(log_ratio(F, K)), splat<V>(1e-280));  // |x|
    // Idle rows solve a harmless problem.
    const V top = exponential(-0.5 * a);
    const V beta = solvable ? extra / (square_root(F) * square_root(K)) : 0.25 * top;
    const V log_beta = logarithm(larger(beta, splat<V>(SMALLEST)));

    const Bool<V> never = a < 0.0;
    const V s_c = square_root(2.0 * a);
    const TimeValue<V> centre = time_value(a, s_c, top, never);
    const Bool<V> upper = beta >= centre.b;
    const Bool<V> gap = upper & (beta > 0.5 * top);
    const V log_target = logarithm(larger(gap ? top - beta : beta, splat<V>(SMALLEST)));

    // Above the centre: b looks like an error function; Winitzki's closed form of its inverse.
    const V room = top - centre.b;
    V tau = (beta - centre.b) / room;
    tau = tau > 0.9999999999999999 ? splat<V>(0.9999999999999999) : larger(tau, zero);
    const V tau2 = tau * tau;
    const V l = tau2 < 1e-6 ? -tau2 * (1.0 + 0.5 * tau2) : logarithm(larger(1.0 - tau2, splat<V>(1e-17)));
    const V y1 = 4.330746750799873 + 0.5 * l;  // 2/(pi a) with a = 0.147
    const V l_a = l * (1.0 / 0.147);
    const V inverse_erf = square_root(-l_a / (square_root(y1 * y1 - l_a) + y1));
    const V s_upper = s_c + inverse_erf * 1.1283791670955126 * room / centre.density;

    // Deep below: -ln b is nearly linear in w = x^2/(2 s^2), up to 1.5 ln w, seen from s_d.
    const V s_d = smaller(s_c, 1.5 * a);
    const TimeValue<V> deep = time_value(a, s_d, top, never);
    const V w_d = 0.5 * (a / s_d) * (a / s_d);
    const V slope = s_d / (2.0 * w_d * deep.ratio);
    const V k = 1.5 / larger(slope - 1.0, splat<V>(1e-3));
    // ln(b_d/beta) = d + 1.5 ln(1 + d/k) is solved for y = ln(1 + d/k), in which it is convex: Newton from an upper bound.
    const V drop = larger(deep.log - log_beta, zero);
    V y = smaller(drop * (1.0 / 1.5), logarithm(1.0 + drop / k));
    for (int i = 0; i < 2; ++i) {
        const V e = k * exponential(y);
        y = y - (e - k + 1.5 * y - drop) / (e + 1.5);
    }
    const V d = larger(k * (exponential(y) - 1.0), zero);
    const V s_deep = a / square_root(2.0 * (w_d + d));

    // Between the two, one Newton step from the centre.
    const V s_newton = s_c - (centre.b - beta) / centre.density;
    V s = upper ? s_upper : (log_beta >= deep.log ? larger(s_newton, s_d) : s_deep);

    // f = b - beta, or 1/ln b - 1/ln beta below the centre, or ln(top - b) - ln(top - beta) near the upper bound; f''/f' and
    // f'''/f' follow by the chain rule.
    V step = zero;
    for (int i = 0; i < HOUSEHOLDER_STEPS; ++i) {
        const TimeValue<V> at = time_value(a, s, top, gap);
        const V inv_s = 1.0 / s;
        const V h2 = (a * inv_s) * (a * inv_s);
        const V b2 = h2 * inv_s - 0.25 * s;
        const V b3 = b2 * b2 - 3.0 * h2 * inv_s * inv_s - 0.25;
        const V u = 1.0 / at.ratio;  // (ln b)'
        const V inv_log = 1.0 / at.log;
        const V ul = u * inv_log;
        const V g = 1.0 / at.above;  // -(ln(top - b))'
        const V y2 = b2 - u;
        const V nu_above = (beta - at.b) / at.density;
        const V nu_below = at.log * at.ratio * (1.0 - at.log / log_target);
        const V nu_gap = (at.log - log_target) / g;
        const V nu = gap ? nu_gap : (upper ? nu_above : nu_below);
        const V f2 = gap ? b2 + g : (upper ? b2 : y2 - 2.0 * ul);
        const V f3 = gap ? b3 + 3.0 * b2 * g + 2.0 * g * g
                         : (upper ? b3 : (b3 - 3.0 * b2 * u + 2.0 * u * u) - 6.0 * y2 * ul + 6.0 * ul * ul);
        step = nu * (1.0 + 0.5 * f2 * nu) / (1.0 + nu * (f2 + f3 * nu * (1.0 / 6.0)));
        // A step at most doubles or halves, and does not cross the inflection point from above.
        step = larger(smaller(step, s), -0.5 * s);
        s = larger(s + step, upper ? s_c : zero);
    }
    const Bool<V> converged = absolute(step) <= 1e-5 * s;

    Solved<V> out;
    const V root_t = square_root(T > 0.0 ? T : one);
    out.vol = solvable & converged ? s / root_t : nan;
    Bits<V> status = converged ? status_of<V>(VOL_OK) : status_of<V>(NOT_CONVERGED);
    status = nothing ? status_of<V>(NO_TIME_VALUE) : status;
    status = under ? status_of<V>(BELOW_INTRINSIC) : status;
    status = over ? status_of<V>(ABOVE_BOUND) : status;
    status = T > 0.0 ? status : status_of<V>(EXPIRED);
    out.status = valid ? status : status_of<V>(INVALID);
    return out;
}

}  // namespace AXIOM_ISA
}  // namespace axiom
