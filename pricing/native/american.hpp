// American options: Andersen-Lake-Offengenden on lanes.
//
// Everything is a put on strike 1: a call is the put with rate and carry yield exchanged and the spot inverted. The put is
// exercised at or below the boundary b(tau), tau the time left. With X = b(0+) = min(1, r/q), y = ln(X/b) >= 0 and
// z = sqrt(tau/T), the function H(z) = y^2 is smooth; it is kept at N Chebyshev points. One sweep of the fixed point FP-A
// renews all points:
//     b(tau) = e^(-(r-q) tau) Num/Den,
//     Num = phi(d-)/(sigma sqrt tau) + r Int_0^tau e^(ru) phi(d-)/(sigma sqrt(tau-u)) du,
//     Den = phi(d+)/(sigma sqrt tau) + N(d+) + q Int_0^tau e^(qu) [N(d+) + phi(d+)/(sigma sqrt(tau-u))] du,
// the leading terms with d+-(tau, b(tau)), the integrals with d+-(tau - u, b(tau)/b(u)). With u = tau cos^2(angle) both
// ends of the integrals are smooth, and the boundary is looked up at constant fractions of its domain only.
//
// Trip counts are fixed, so the result is a smooth function of every parameter: differences in volatility and rate are
// differences of a smooth scheme.
//
// Sources: Andersen, Lake and Offengenden (2016), "High performance American option pricing", J. Computational Finance
// 20(1), 39-87. First boundary: Li (2010), "Analytical approximations for the critical stock prices of American options: a
// performance comparison", Review of Derivatives Research 13, 75-99 (QD+), started from Bjerksund and Stensland (1993),
// Scandinavian J. Management 9, S87-S99.
#pragma once

#include "european.hpp"
#include "quadrature.hpp"

namespace axiom {
namespace AXIOM_ISA {

constexpr int FIRST_STEPS = 3;  // Newton steps of the first boundary

template <class V, int N> struct Boundary {
    V y[N];      // ln(X/b) at the Chebyshev points
    V log_x;     // ln X
};

// A converges fastest where the boundary moves slowly; B also where rates are large against the variance.
enum class FixedPoint { A, B };

struct Sweeps {
    FixedPoint fixed_point;
    int count;
};

template <class V> struct PutRates {
    V r, q, sigma, T;  // of a put, r >= 0
};

// ln b(tau) by the quadratic approximation QD+, a fixed number of Newton steps from the boundary of Bjerksund and Stensland.
template <class V> AXIOM_FN V first_boundary(const PutRates<V> &p, V log_x, V tau, V root_tau) {
    const V zero = splat<V>(0.0);
    const V s2 = p.sigma * p.sigma, inv_s2 = 1.0 / s2;
    const V v = p.sigma * root_tau, inv_v = 1.0 / v;
    const V b = p.r - p.q;
    // Bjerksund and Stensland (1993), in the mirror (rate q, cost of carry q - r).
    const V w = 0.5 + b * inv_s2;
    const V beta = w + square_root(w * w + 2.0 * p.q * inv_s2 > 1e-12 ? w * w + 2.0 * p.q * inv_s2 : splat<V>(1e-12));
    const V far = beta / larger(beta - 1.0, splat<V>(1e-9));
    const V near = exponential(-log_x);
    const V flat = larger((-b * tau + 2.0 * v) * near / larger(far - near, splat<V>(1e-12)), zero);
    V x = -logarithm(near + larger(far - near, zero) * (1.0 - exponential(-flat)));
    x = smaller(x, log_x);

    const V e_r = exponential(-p.r * tau), e_q = exponential(-p.q * tau);
    // r/(1 - e^(-r tau)), which tends to 1/tau as r does to 0.
    const V rt = p.r * tau;
    const V growth = rt < 1e-5 ? (1.0 + 0.5 * rt) / tau : p.r / (1.0 - (rt < 1e-5 ? zero : e_r));
    const V omega1 = 2.0 * b * inv_s2 - 1.0;
    const V root = square_root(larger(omega1 * omega1 + 8.0 * growth * inv_s2, splat<V>(1e-12)));  // -(2 lambda + omega - 1)
    const V inv_root = 1.0 / root;
    const V alpha = -2.0 * inv_s2 * inv_root;  // times e^(-r tau) in the paper
    const V minus_beta = -alpha * e_r * (growth - 2.0 * growth * growth * inv_s2 * inv_root * inv_root) - 0.5 * (omega1 + root);
    // f(s) = s (1 + put') + minus_beta (1 - s - put) + alpha theta, put and theta those of the European put; Newton in ln s.
    for (int i = 0; i < FIRST_STEPS; ++i) {
        const V s = exponential(x);
        const V d1 = (x + b * tau) * inv_v + 0.5 * v;
        const V d2 = d1 - v;
        V m1, m2;
        mills_pair(smaller(absolute(d1), splat<V>(38.0)), smaller(absolute(d2), splat<V>(38.0)), m1, m2);
        const V A = s * e_q;
        const V g = A * normal_density(d1);
        const V asset = d1 < 0.0 ? A - g * m1 : g * m1;   // A N(-d1)
        const V cash = d2 < 0.0 ? e_r - g * m2 : g * m2;  // e^(-r tau) N(-d2)
        const V gv = g * inv_v;
        const V decay = 0.5 * p.sigma * p.sigma * inv_v;  // sigma/(2 sqrt tau)
        const V live = s - asset;                         // s (1 + put')
        const V theta = p.r * cash - p.q * asset - decay * g;
        const V theta_x = -b * gv - p.q * asset + decay * d2 * gv;
        const V f = live + minus_beta * (1.0 - s - cash + asset) + alpha * theta;
        const V f_x = live + gv - minus_beta * live + alpha * theta_x;
        V step = f / f_x;
        step = smaller(larger(step, splat<V>(-0.5)), splat<V>(0.5));
        x = smaller(x - step, log_x);
    }
    return x;
}

template <class V, class Q>
static __attribute__((noinline)) void solve_boundary(const Q &quad, const PutRates<V> &p, const Sweeps &sweeps, Boundary<V, Q::N> &out) {
    constexpr int N = Q::N, L = Q::L;
    const V zero = splat<V>(0.0);
    const V root_t = square_root(p.T), inv_sigma = 1.0 / p.sigma;
    const V b = p.r - p.q;
    // X = min(1, r/q)
    const V log_x = p.q > p.r ? logarithm(larger(p.r, splat<V>(1e-300)) / larger(p.q, splat<V>(1e-300))) : zero;
    out.log_x = log_x;
    V H[N];
    for (int i = 0; i < N; ++i) {
        const V root_tau = root_t * quad.z[i];
        out.y[i] = larger(log_x - first_boundary(p, log_x, root_tau * root_tau, root_tau), zero);
        H[i] = out.y[i] * out.y[i];
    }
    const V drift_m = b * inv_sigma - 0.5 * p.sigma;
    for (int sweep = 0; sweep < sweeps.count; ++sweep) {
        V next[N];
        for (int i = 0; i < N; ++i) {
            const V root_tau = root_t * quad.z[i], tau = root_tau * root_tau;
            const V inv_v = inv_sigma / root_tau;
            const V lead_m = (log_x - out.y[i]) * inv_v + drift_m * root_tau;
            const V lead_p = lead_m + p.sigma * root_tau;
            V sum_m = zero, sum_p = zero, sum_cp = zero;
            for (int k = 0; k < L; ++k) {
                V look = zero;
                for (int j = 0; j < N; ++j) look = look + quad.lookup[i][k][j] * H[j];
                const V y_u = square_root(larger(look, zero));
                const V s = root_tau * quad.sine[k];
                const V u = tau * (quad.cosine[k] * quad.cosine[k]);
                const V dm = (y_u - out.y[i]) * (inv_v * (1.0 / quad.sine[k])) + drift_m * s;
                const V dp = dm + p.sigma * s;
                V m_minus, m_plus;
                mills_pair(absolute(dm), absolute(dp), m_minus, m_plus);
                const V pm = exponential(p.r * u - 0.5 * dm * dm);  // e^(ru) phi(d-) sqrt(2 pi), and so on
                const V pp = exponential(p.q * u - 0.5 * dp * dp);
                const V tail = pp * m_plus;
                const V cdf_p = dp > 0.0 ? exponential(p.q * u) * (1.0 / INV_SQRT_2PI) - tail : tail;
                const double wd = quad.weight[k] * quad.cosine[k];
                sum_cp = sum_cp + (wd * quad.sine[k]) * cdf_p;
                if (sweeps.fixed_point == FixedPoint::A) {
                    sum_m = sum_m + wd * pm;
                    sum_p = sum_p + wd * pp;
                } else {
                    const V tail_m = pm * m_minus;
                    sum_m = sum_m + (wd * quad.sine[k]) * (dm > 0.0 ? exponential(p.r * u) * (1.0 / INV_SQRT_2PI) - tail_m : tail_m);
                }
            }
            const V by_density = 2.0 * root_tau * inv_sigma * INV_SQRT_2PI, by_cdf = 2.0 * INV_SQRT_2PI * tau;
            V num, den = normal_cdf(lead_p) + p.q * by_cdf * sum_cp;
            if (sweeps.fixed_point == FixedPoint::A) {
                num = normal_density(lead_m) * inv_v + p.r * by_density * sum_m;
                den = den + normal_density(lead_p) * inv_v + p.q * by_density * sum_p;
            } else {
                num = normal_cdf(lead_m) + p.r * by_cdf * sum_m;
            }
            next[i] = larger(log_x + b * tau - log_ratio(larger(num, splat<V>(SMALLEST)), larger(den, splat<V>(SMALLEST))), zero);
        }
        for (int i = 0; i < N; ++i) {
            out.y[i] = next[i];
            H[i] = next[i] * next[i];
        }
    }
}

// x-derivatives 0 .. 4 of something, x = ln s.
template <class V> struct Derivatives {
    V at[5];
};

// Int_0^T rho e^(-rho t) N(-(e + nu t)/(sigma sqrt t)) dt for e >= 0, with its first four derivatives in e.
//
// By parts, and with lambda = sqrt(nu^2 + 2 rho sigma^2), alpha = (lambda - nu)/sigma^2, beta = -(lambda + nu)/sigma^2,
// U = e^(alpha e) N(-(e + lambda T)/(sigma sqrt T)), W = e^(beta e) N(-(e - lambda T)/(sigma sqrt T)):
//     G = -e^(-rho T) N(-d_T) + (U + W)/2 + nu (U - W)/(2 lambda),   G' = -rho (W - U)/lambda,
// and U' = alpha U - D, W' = beta W - D with D = e^(-rho T) phi(d_T)/(sigma sqrt T).
template <class V> AXIOM_FN Derivatives<V> straight_integral(V e, V rho, V nu, V lambda2, V sigma, V T) {
    const V root_t = square_root(T), v = sigma * root_t, inv_v = 1.0 / v;
    const V inv_s2 = 1.0 / (sigma * sigma);
    const V lambda = square_root(larger(lambda2, splat<V>(1e-16)));
    const V inv_lambda = 1.0 / lambda;
    const V d = (e + nu * T) * inv_v;
    const V u = (e + lambda * T) * inv_v;
    const V w = (e - lambda * T) * inv_v;
    const V fade = exponential(-rho * T);
    const V density = INV_SQRT_2PI * exponential(-rho * T - 0.5 * d * d);
    const V tail_d = density * mills(absolute(d));
    const V tail_w = density * mills(absolute(w));
    const V cdf = d > 0.0 ? tail_d : fade - tail_d;
    const V alpha = (lambda - nu) * inv_s2, beta = -(lambda + nu) * inv_s2;
    const V U = density * mills(u);
    const V W = w > 0.0 ? tail_w : exponential(beta * e) - tail_w;
    const V D = density * inv_v;
    const V k = -rho * inv_lambda;
    const V bW = beta * W, aU = alpha * U, bbW = beta * bW, aaU = alpha * aU;
    Derivatives<V> g;
    g.at[0] = 0.5 * (U + W) + 0.5 * nu * inv_lambda * (U - W) - cdf;
    g.at[1] = k * (W - U);
    g.at[2] = k * (bW - aU);
    g.at[3] = k * (bbW - aaU) - rho * 2.0 * inv_s2 * D;
    g.at[4] = k * (beta * bbW - alpha * aaU) + rho * (4.0 * nu * inv_s2 * inv_s2 * D + 2.0 * inv_s2 * d * inv_v * D);
    return g;
}

// The integrand of the premium at one time t, with its x-derivatives: r e^(-rt) N(-d2) - q s e^(-qt) N(-d1), spot over
// boundary e^e, boundary b. `fade_r` is e^(-rt), `fade_q` is s e^(-qt).
template <class V, int ORDER>
AXIOM_FN void premium_integrand(const PutRates<V> &p, V e, V b, V t, V inv_v, V v, V fade_r, V fade_q, V (&f)[5]) {
    const V d2 = (e + (p.r - p.q) * t) * inv_v - 0.5 * v;
    const V d1 = d2 + v;
    V m1, m2;
    mills_pair(absolute(d1), absolute(d2), m1, m2);
    const V density = fade_r * (INV_SQRT_2PI * exponential(-0.5 * d2 * d2));  // e^(-rt) phi(d2) = s e^(-qt) phi(d1)/b
    const V tail2 = density * m2, tail1 = b * density * m1;
    const V cash = d2 > 0.0 ? tail2 : fade_r - tail2;
    const V asset = d1 > 0.0 ? tail1 : fade_q - tail1;
    const V Q = p.q * asset;
    f[0] = p.r * cash - Q;
    if (ORDER >= 1) {
        const V unit = density * inv_v;
        const V psi = p.q * b * unit, phi = p.r * unit - psi;
        const V k = d2 * inv_v;
        f[1] = -phi - Q;
        f[2] = k * phi - Q + psi;
        if (ORDER >= 4) {
            const V inv_v2 = inv_v * inv_v;
            f[3] = phi * (inv_v2 - k * k) - Q + psi * (1.0 - k);
            f[4] = phi * k * (k * k - 3.0 * inv_v2) - Q + psi * (1.0 - k + k * k - inv_v2);
        }
    }
}

// The early-exercise premium of a put on strike 1 and its derivatives in x = ln s, for s above the boundary.
//
// Near the boundary the integrand has a boundary layer at t = 0 that no fixed quadrature resolves. The same integral with
// the boundary replaced by the straight line ln b(T) + g t has a closed form; only the difference of the two, which is of
// second order in t, is integrated numerically.
template <class V, class Q, int ORDER>
AXIOM_FN Derivatives<V> premium_at(const Q &quad, const PutRates<V> &p, const Boundary<V, Q::N> &boundary, V x) {
    constexpr int N = Q::N;
    V H[N];
    V dH = splat<V>(0.0);
    for (int i = 0; i < N; ++i) {
        H[i] = boundary.y[i] * boundary.y[i];
        dH = dH + quad.slope[i] * H[i];
    }
    const V y_end = boundary.y[N - 1];
    const V log_end = boundary.log_x - y_end;
    const V e = larger(x - log_end, splat<V>(0.0));
    const V s2 = p.sigma * p.sigma;
    const V carry = p.r - p.q;
    // The line's slope; flat where the closed form would need the root of a negative number (possible for q < 0 only).
    V g = dH / (4.0 * p.T * larger(y_end, splat<V>(1e-12)));
    const V nu_flat = carry - 0.5 * s2;
    V lambda2_q = (nu_flat + s2 - g) * (nu_flat + s2 - g) + 2.0 * p.q * s2;
    const V lambda2_flat = nu_flat * nu_flat + 2.0 * p.r * s2;
    const Bool<V> bend = lambda2_q > 0.01 * lambda2_flat;
    g = bend ? g : splat<V>(0.0);
    const V nu = nu_flat - g;
    lambda2_q = bend ? lambda2_q : lambda2_flat;
    const V lambda2_r = nu * nu + 2.0 * p.r * s2;

    const V s = exponential(x);
    const Derivatives<V> cash = straight_integral(e, p.r, nu, lambda2_r, p.sigma, p.T);
    const Derivatives<V> asset = straight_integral(e, p.q, nu + s2, lambda2_q, p.sigma, p.T);
    Derivatives<V> out;
    const V *a = asset.at;
    out.at[0] = cash.at[0] - s * a[0];
    out.at[1] = cash.at[1] - s * (a[0] + a[1]);
    out.at[2] = cash.at[2] - s * (a[0] + 2.0 * a[1] + a[2]);
    out.at[3] = cash.at[3] - s * (a[0] + 3.0 * (a[1] + a[2]) + a[3]);
    out.at[4] = cash.at[4] - s * (a[0] + 4.0 * (a[1] + a[3]) + 6.0 * a[2] + a[4]);

    const V root_t = square_root(p.T);
    const V b_end = exponential(log_end);
    for (int k = 0; k < Q::P; ++k) {
        V look = splat<V>(0.0);
        for (int j = 0; j < N; ++j) look = look + quad.premium_lookup[k][j] * H[j];
        const V y = square_root(larger(look, splat<V>(0.0)));
        const V v = p.sigma * root_t * quad.premium_sine[k];
        const V t = p.T * (quad.premium_sine[k] * quad.premium_sine[k]);
        const V inv_v = 1.0 / v;
        const V fade_r = exponential(-p.r * t), fade_q = exponential(x - p.q * t);
        V exact[5], line[5];
        premium_integrand<V, ORDER>(p, e + y - y_end, exponential(boundary.log_x - y), t, inv_v, v, fade_r, fade_q, exact);
        premium_integrand<V, ORDER>(p, e - g * t, b_end * exponential(g * t), t, inv_v, v, fade_r, fade_q, line);
        const V w = p.T * (2.0 * quad.premium_weight[k] * quad.premium_sine[k] * quad.premium_cosine[k]);
        for (int j = 0; j <= ORDER; ++j) out.at[j] = out.at[j] + w * (exact[j] - line[j]);
    }
    return out;
}

}  // namespace AXIOM_ISA
}  // namespace axiom
