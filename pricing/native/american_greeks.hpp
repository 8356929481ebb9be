// American values and Greeks from the boundary: the European ones plus those of the early-exercise premium.
//
// Spot derivatives of the premium are analytic; those in volatility and rate are central differences of boundary solves;
// those in time follow from the pricing equation, which the premium obeys by itself where the option is held:
//     V_t = r V - (r - q) S V_S - sigma^2 S^2 V_SS / 2.
#pragma once

#include "american.hpp"

namespace axiom {
namespace AXIOM_ISA {

// The values of pricing.american.Status.
enum AmericanStatus : std::int64_t { AM_OK, AM_EUROPEAN, AM_EXERCISED, AM_EXPIRED, AM_DOUBLE_BOUNDARY, AM_OUT_OF_RANGE, AM_INVALID };

// Below this sigma sqrt(T) the time value is less than 4e-8 of the spot and the contract is treated as certain.
constexpr double CERTAIN_VOL = 1e-7;

// Which scheme solves a contract.
enum Route : std::int64_t { SMALL_A, MEDIUM_A, MEDIUM_B, LARGE_B, ROUTES };

template <class V> struct Plan {
    Bits<V> status;  // AM_OK: a boundary is needed
    Bits<V> route;
};

// What is known before any boundary is solved. The hard cases are those with large rates against the variance over a long
// time; the limits below come from a comparison with 40 points and 50 sweeps over k = max(|r|, |q|)/sigma^2 up to 200 and
// sigma sqrt(T) up to 3, and hold the errors that pricing/american.py states.
template <class V> AXIOM_FN Plan<V> plan_of(const Market<V> &m, bool accurate) {
    const V zero = splat<V>(0.0);
    const V r = m.c < 0.0 ? m.r : m.q, q = m.c < 0.0 ? m.q : m.r;  // of the put
    const V v = m.sigma * square_root(m.T);
    const Bool<V> certain = m.settled | !(v > CERTAIN_VOL);
    Plan<V> plan;

    const V s2 = m.sigma * m.sigma;
    const V k = larger(absolute(r), absolute(q)) / (s2 > SMALLEST ? s2 : splat<V>(SMALLEST));
    const Bool<V> in_range = ((k <= 40.0) & (v <= 3.0)) | ((k <= 200.0) & (v <= 0.9));
    const Bool<V> mild = (k <= 0.7) | ((k <= 2.0) & (v <= 0.4)) | (k * v <= 0.6);
    const Bits<V> large = status_of<V>(LARGE_B);
    if (accurate)
        plan.route = mild & (v <= 0.9) ? status_of<V>(MEDIUM_A) : large;
    else
        plan.route = (mild | (k <= 2.0)) & (v <= 0.9) ? status_of<V>(SMALL_A)
                                                      : ((k <= 40.0) & (v <= 0.4) ? status_of<V>(MEDIUM_B) : large);

    // Certain: the best of exercising now and at expiry. The discounted payoff has one extremum at most; where that is a
    // peak inside, neither is right and the row is refused.
    const V fade_r = m.K * exponential(-m.r * m.T), fade_q = m.S * exponential(-m.q * m.T);
    const V now = larger(m.c * (m.S - m.K), zero);
    const V held = larger(m.c * (fade_q - fade_r), zero);
    const Bool<V> peak = (m.c * (m.r * m.K - m.q * m.S) > 0.0) & (m.c * (m.r * fade_r - m.q * fade_q) < 0.0);
    Bits<V> status = in_range & !((r == 0.0) & (q < 0.0)) ? status_of<V>(AM_OK) : status_of<V>(AM_OUT_OF_RANGE);
    status = (r < 0.0) & (q < r) ? status_of<V>(AM_DOUBLE_BOUNDARY) : status;
    status = (r <= 0.0) & (q >= r) ? status_of<V>(AM_EUROPEAN) : status;
    status = certain ? (held >= now ? status_of<V>(AM_EUROPEAN) : status_of<V>(AM_EXERCISED)) : status;
    status = certain & peak & (m.K > zero) & (m.S > zero) ? status_of<V>(AM_OUT_OF_RANGE) : status;
    status = m.T > 0.0 ? status : status_of<V>(AM_EXPIRED);
    plan.status = m.valid ? status : status_of<V>(AM_INVALID);
    return plan;
}

// Derivatives of the premium over strike in ln S, from those of the mirrored put: for a call it is e^(-x) P(x).
template <class V> AXIOM_FN Derivatives<V> unmirror(const Derivatives<V> &p, V x, V c) {
    const V *d = p.at;
    const V e = exponential(-x);
    const Bool<V> call = c > 0.0;
    Derivatives<V> f;
    f.at[0] = call ? e * d[0] : d[0];
    f.at[1] = call ? e * (d[0] - d[1]) : d[1];
    f.at[2] = call ? e * (d[0] - 2.0 * d[1] + d[2]) : d[2];
    f.at[3] = call ? e * (d[0] - 3.0 * (d[1] - d[2]) - d[3]) : d[3];
    f.at[4] = call ? e * (d[0] - 4.0 * (d[1] + d[3]) + 6.0 * d[2] + d[4]) : d[4];
    return f;
}

template <class V> struct Premium {
    Derivatives<V> f;       // over strike, in ln S
    Bool<V> exercised;
    V depth;                // (ln s - ln b)/ln(X/b), 0 at the boundary
};

// Solve and evaluate. Where the put is exercised the premium is intrinsic less European.
template <class V, class Q, int ORDER>
static __attribute__((noinline)) Premium<V> solve_premium(const Q &quad, const Sweeps &sweeps, const PutRates<V> &p, const V &x, const V &c) {
    Boundary<V, Q::N> boundary;
    solve_boundary(quad, p, sweeps, boundary);
    const V y_end = boundary.y[Q::N - 1];
    const V log_end = boundary.log_x - y_end;
    Premium<V> out;
    out.exercised = x <= log_end;
    out.depth = larger(x - log_end, splat<V>(0.0)) / larger(y_end, splat<V>(1e-12));
    Derivatives<V> d = premium_at<V, Q, ORDER>(quad, p, boundary, larger(x, log_end));
    // European put on strike 1.
    const V v = p.sigma * square_root(p.T), inv_v = 1.0 / v;
    const V s = exponential(x);
    const V A = exponential(x - p.q * p.T), B = exponential(-p.r * p.T);
    const Legs<V> legs = price_legs(A, B, x + (p.r - p.q) * p.T, v, splat<V>(-1.0), x != x);
    const V bend = legs.g * inv_v;
    // The scheme's own error may take a held option below its intrinsic value.
    d.at[0] = larger(d.at[0], larger(1.0 - s - legs.price, splat<V>(0.0)));
    d.at[0] = out.exercised ? 1.0 - s - legs.price : d.at[0];
    d.at[1] = out.exercised ? legs.asset - s : d.at[1];
    d.at[2] = out.exercised ? legs.asset - s - bend : d.at[2];
    out.f = unmirror(d, x, c);
    return out;
}

template <class V> AXIOM_FN PutRates<V> put_rates(const Market<V> &m) {
    return {m.c < 0.0 ? m.r : m.q, m.c < 0.0 ? m.q : m.r, m.sigma, m.T};
}

// ln of spot over strike of the mirrored put.
template <class V> AXIOM_FN V mirrored(const Market<V> &m) {
    const V x = log_ratio(m.S, m.K);
    return m.c < 0.0 ? x : -x;
}

// Premium and its first two spot derivatives.
template <class V, class Q>
AXIOM_FN Bits<V> american_premium_rows(const Q &quad, const Sweeps &sweeps, const Market<V> &m, V (&row)[3]) {
    const Premium<V> premium = solve_premium<V, Q, 2>(quad, sweeps, put_rates(m), mirrored(m), m.c);
    const V *f = premium.f.at;
    const V per_spot = m.K / m.S;
    row[0] = m.K * f[0];
    row[1] = per_spot * f[1];
    row[2] = per_spot * (f[2] - f[1]) / m.S;
    return premium.exercised ? status_of<V>(AM_EXERCISED) : status_of<V>(AM_OK);
}

// Adds the premium to the European rows.
template <class V, class Q>
AXIOM_FN Bits<V> american_greek_rows(const Q &quad, const Sweeps &sweeps, const Market<V> &m, V (&row)[ROWS]) {
    const V zero = splat<V>(0.0);
    const V x = mirrored(m);
    const PutRates<V> rates = put_rates(m);
    const Premium<V> centre = solve_premium<V, Q, 4>(quad, sweeps, rates, x, m.c);
    const V *f = centre.f.at;

    // Volatility: five points. Close to the boundary the step shrinks, so that no point falls on its other side.
    V h = smaller(splat<V>(0.02), 0.2 * centre.depth);
    h = m.sigma * larger(h, splat<V>(1e-3));
    Derivatives<V> up[2], down[2];
    for (int k = 0; k < 2; ++k) {
        PutRates<V> bumped = rates;
        bumped.sigma = rates.sigma + (k + 1.0) * h;
        up[k] = solve_premium<V, Q, 2>(quad, sweeps, bumped, x, m.c).f;
        bumped.sigma = rates.sigma - (k + 1.0) * h;
        down[k] = solve_premium<V, Q, 2>(quad, sweeps, bumped, x, m.c).f;
    }
    const V inv_h = 1.0 / h;
    V by_vol[3];  // d/dsigma of f, f', f''
    for (int j = 0; j < 3; ++j)
        by_vol[j] = (8.0 * (up[0].at[j] - down[0].at[j]) - (up[1].at[j] - down[1].at[j])) * (inv_h * (1.0 / 12.0));
    const V near2 = up[0].at[0] + down[0].at[0] - 2.0 * f[0], far2 = up[1].at[0] + down[1].at[0] - 2.0 * f[0];
    const V volga = (16.0 * near2 - far2) * (inv_h * inv_h * (1.0 / 12.0));
    const V ultima = ((up[1].at[0] - down[1].at[0]) - 2.0 * (up[0].at[0] - down[0].at[0])) * (0.5 * inv_h * inv_h * inv_h);

    // Rate: a put's must stay positive.
    const V hr = m.c < 0.0 ? smaller(0.01 * m.r, splat<V>(1e-4)) : splat<V>(1e-4);
    PutRates<V> higher = rates, lower = rates;
    higher.r = m.c < 0.0 ? rates.r + hr : rates.r;
    higher.q = m.c < 0.0 ? rates.q : rates.q + hr;
    lower.r = m.c < 0.0 ? rates.r - hr : rates.r;
    lower.q = m.c < 0.0 ? rates.q : rates.q - hr;
    const V rho = (solve_premium<V, Q, 0>(quad, sweeps, higher, x, m.c).f.at[0] - solve_premium<V, Q, 0>(quad, sweeps, lower, x, m.c).f.at[0]) / (2.0 * hr);

    const V s2 = m.sigma * m.sigma, half = 0.5 * s2, drift = m.r - m.q - half;
    V by_time[3];  // d/dt of f, f', f''
    for (int j = 0; j < 3; ++j) by_time[j] = m.r * f[j] - drift * f[j + 1] - half * f[j + 2];
    const V veta = m.r * by_vol[0] - drift * by_vol[1] - half * by_vol[2] + m.sigma * (f[1] - f[2]);

    const V k1 = m.K / m.S, k2 = k1 / m.S, k3 = k2 / m.S;
    V add[ROWS];
    add[PRICE] = m.K * f[0];
    add[DELTA] = k1 * f[1];
    add[GAMMA] = k2 * (f[2] - f[1]);
    add[VEGA] = m.K * by_vol[0];
    add[THETA] = m.K * by_time[0];
    add[RHO] = m.K * rho;
    add[VANNA] = k1 * by_vol[1];
    add[CHARM] = k1 * by_time[1];
    add[VOLGA] = m.K * volga;
    add[VETA] = m.K * veta;
    add[SPEED] = k3 * (f[3] - 3.0 * f[2] + 2.0 * f[1]);
    add[ZOMMA] = k2 * (by_vol[2] - by_vol[1]);
    add[COLOR] = k2 * (by_time[2] - by_time[1]);
    add[ULTIMA] = m.K * ultima;
    for (int i = 0; i < ROWS; ++i) row[i] = centre.exercised ? zero : row[i] + add[i];
    const V intrinsic = m.c * (m.S - m.K);
    row[PRICE] = centre.exercised ? intrinsic : row[PRICE];
    row[DELTA] = centre.exercised ? m.c : m.c * smaller(m.c * row[DELTA], splat<V>(1.0));
    return centre.exercised ? status_of<V>(AM_EXERCISED) : status_of<V>(AM_OK);
}

}  // namespace AXIOM_ISA
}  // namespace axiom
