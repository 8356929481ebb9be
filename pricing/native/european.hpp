// European options: price, and price with thirteen Greeks, on lanes.
//
// Notation: A = S e^(-qT) and B = K e^(-rT), the discounted legs; v = sigma sqrt(T); c = +1 call, -1 put. Because
// A phi(d1) = B phi(d2), one exponential g = A phi(d1) serves both tails: A N(-|d1|) = g M(|d1|), B N(-|d2|) = g M(|d2|),
// with M the Mills ratio.
//
// A row is *settled* when nothing is random any more (no time, no volatility, or a zero spot or strike): it is worth
// max(c(A - B), 0) and only its linear Greeks are left. A row with an impossible input is NaN.
#pragma once

#include "functions.hpp"

namespace axiom {
namespace AXIOM_ISA {

constexpr double NOT_A_NUMBER = __builtin_nan("");
constexpr double SMALLEST = 2.2250738585072014e-308;
// Below this, sigma sqrt(T) moves no price that a double can tell from the intrinsic value.
constexpr double NO_VOL = 1e-100;

// The two legs with their probabilities, for sign c.
template <class V> struct Legs {
    V x;         // ln(A/B)
    V d1, d2;    // 0 where settled
    V g;         // A phi(d1) = B phi(d2); 0 where settled or beyond 37.5 sd
    V asset;     // A N(c d1)
    V cash;      // B N(c d2)
    V price;     // >= 0
};

// `x` is ln(A/B); `settled` rows may carry any x.
template <class V> AXIOM_FN Legs<V> price_legs(V A, V B, V x, V v, V c, Bool<V> settled) {
    Legs<V> out;
    const V vol = settled ? splat<V>(1.0) : v;
    const V d1 = x / vol + 0.5 * vol;
    const V d2 = d1 - vol;
    V m1, m2;
    mills_pair(smaller(absolute(d1), splat<V>(38.0)), smaller(absolute(d2), splat<V>(38.0)), m1, m2);
    const V g = A * normal_density(d1);
    const V tail1 = g * m1, tail2 = g * m2;
    // The out-of-the-money side is priced and the other one follows from parity, so that small values keep their digits.
    const V o = A <= B ? splat<V>(1.0) : splat<V>(-1.0);
    const V oa = o * d1 > 0.0 ? A - tail1 : tail1;
    const V ob = o * d2 > 0.0 ? B - tail2 : tail2;
    const V time_value = larger(o * (oa - ob), splat<V>(0.0));
    const V forward_value = c * (A - B);
    const V intrinsic = larger(forward_value, splat<V>(0.0));
    const V half = A == B ? splat<V>(0.5) : splat<V>(0.0);
    const V certain = forward_value > 0.0 ? splat<V>(1.0) : half;
    out.x = x;
    out.d1 = settled ? splat<V>(0.0) : d1;
    out.d2 = settled ? splat<V>(0.0) : d2;
    out.g = settled ? splat<V>(0.0) : g;
    out.asset = settled ? A * certain : (c * d1 > 0.0 ? A - tail1 : tail1);
    out.cash = settled ? B * certain : (c * d2 > 0.0 ? B - tail2 : tail2);
    out.price = settled ? intrinsic : intrinsic + time_value;
    return out;
}

// One contract's market in spot form, checked.
template <class V> struct Market {
    V S, K, T, r, q, sigma, c;
    Bool<V> valid;    // every input possible
    Bool<V> settled;  // nothing random left
};

template <class V> AXIOM_FN Market<V> check_market(V S, V K, V T, V r, V q, V sigma, V c) {
    Market<V> m;
    m.valid = (S >= 0.0) & (K >= 0.0) & (sigma >= 0.0) & (absolute(c) == 1.0) & is_finite(S) & is_finite(K) & is_finite(T) &
              is_finite(r) & is_finite(q) & is_finite(sigma);
    m.T = T > 0.0 ? T : splat<V>(0.0);
    m.settled = (S < SMALLEST) | (K < SMALLEST) | !(sigma * square_root(m.T) > NO_VOL) | !m.valid;
    m.S = m.valid ? S : splat<V>(1.0);
    m.K = m.valid ? K : splat<V>(1.0);
    m.T = m.valid ? m.T : splat<V>(0.0);
    m.r = m.valid ? r : splat<V>(0.0);
    m.q = m.valid ? q : splat<V>(0.0);
    m.sigma = m.valid ? sigma : splat<V>(0.0);
    m.c = m.valid ? c : splat<V>(1.0);
    return m;
}

template <class V> AXIOM_FN V european_price(const Market<V> &m) {
    const V one = splat<V>(1.0);
    const V x = log_ratio(m.settled ? one : m.S, m.settled ? one : m.K) + (m.r - m.q) * m.T;
    const V A = m.S * exponential(-m.q * m.T), B = m.K * exponential(-m.r * m.T);
    const Legs<V> legs = price_legs(A, B, x, m.sigma * square_root(m.T), m.c, m.settled);
    return m.valid ? legs.price : splat<V>(NOT_A_NUMBER);
}

// Price and the 13 Greeks in the order of pricing/greeks.py, with row 0 the price.
constexpr int ROWS = 14;
enum Row { PRICE, DELTA, GAMMA, VEGA, THETA, RHO, VANNA, CHARM, VOLGA, VETA, SPEED, ZOMMA, COLOR, ULTIMA };

// Formulas: E. G. Haug, The Complete Guide to Option Pricing Formulas, 2nd ed., ch. 2. All time derivatives in calendar
// time, d/dt = -d/dT (many texts give veta and color with the opposite sign).
template <class V> AXIOM_FN void european_greeks(const Market<V> &m, V (&row)[ROWS]) {
    const V one = splat<V>(1.0), zero = splat<V>(0.0);
    const V S = m.settled ? one : m.S;
    const V T = m.settled ? one : m.T;
    const V sigma = m.settled ? one : m.sigma;
    const V b = m.r - m.q;
    const V x = log_ratio(S, m.settled ? one : m.K) + b * m.T;
    const V A = m.S * exponential(-m.q * m.T), B = m.K * exponential(-m.r * m.T);
    const V root_t = square_root(T);
    const V v = sigma * root_t;
    const Legs<V> legs = price_legs(A, B, x, v, m.c, m.settled);
    const V d1 = legs.d1, d2 = legs.d2, d12 = d1 * d2;
    const V inv_s = 1.0 / S, inv_v = 1.0 / v, inv_t = 1.0 / T;
    const V inv_sigma = inv_v * root_t;
    const V density = legs.g * inv_s;                       // e^(-qT) phi(d1)
    const V gamma = density * inv_v * inv_s;
    const V vega = legs.g * root_t;
    const V h = 2.0 * b * T - d2 * v;
    // A zero spot is settled, but e^(-qT) N(c d1) is still needed: take it from the exponential.
    const V shares = m.settled ? (m.S > 0.0 ? legs.asset / larger(m.S, splat<V>(SMALLEST))
                                            : (m.c < 0.0 ? exponential(-m.q * m.T) : zero))
                               : legs.asset * inv_s;
    const V carry = m.c * (m.q * legs.asset - m.r * legs.cash);
    // An expired contract has stopped to decay.
    const Bool<V> over = m.settled & (m.T <= 0.0);
    row[PRICE] = legs.price;
    row[DELTA] = m.c * shares;
    row[GAMMA] = gamma;
    row[VEGA] = vega;
    row[THETA] = over ? zero : carry - 0.5 * legs.g * sigma * root_t * inv_t;
    row[RHO] = m.c * m.T * legs.cash;
    row[VANNA] = -density * d2 * inv_sigma;
    row[CHARM] = over ? zero : m.c * m.q * shares - density * h * 0.5 * inv_t * inv_v;
    row[VOLGA] = vega * d12 * inv_sigma;
    row[VETA] = vega * (m.q + b * d1 * inv_v - (1.0 + d12) * 0.5 * inv_t);
    row[SPEED] = -gamma * inv_s * (d1 * inv_v + 1.0);
    row[ZOMMA] = gamma * (d12 - 1.0) * inv_sigma;
    row[COLOR] = gamma * 0.5 * inv_t * (2.0 * m.q * T + 1.0 + h * d1 * inv_v);
    row[ULTIMA] = -vega * inv_sigma * inv_sigma * (d12 * (1.0 - d12) + d1 * d1 + d2 * d2);
    for (int i = 0; i < ROWS; ++i) row[i] = m.valid ? row[i] : splat<V>(NOT_A_NUMBER);
}

// Black (1976): forward form. `v` is the total volatility sigma sqrt(T), `D` the discount factor.
template <class V> AXIOM_FN V forward_price(V F, V K, V v, V D, V c) {
    const V one = splat<V>(1.0);
    const Bool<V> valid = (F >= 0.0) & (K >= 0.0) & (v >= 0.0) & (D > 0.0) & (absolute(c) == 1.0) & is_finite(F) & is_finite(K) &
                          is_finite(v) & is_finite(D);
    const Bool<V> settled = (F < SMALLEST) | (K < SMALLEST) | !(v > NO_VOL) | !valid;
    const V x = log_ratio(settled ? one : F, settled ? one : K);
    const Legs<V> legs = price_legs(valid ? F * D : one, valid ? K * D : one, x, v, c, settled);
    return valid ? legs.price : splat<V>(NOT_A_NUMBER);
}

}  // namespace AXIOM_ISA
}  // namespace axiom
