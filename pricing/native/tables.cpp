// The constants of the American schemes, computed when the module is loaded.
#include <cmath>

#include "quadrature.hpp"

namespace axiom {
namespace {

constexpr double PI = 3.14159265358979323846;

// Gauss-Legendre points and weights on [0, pi/2], by Newton on the Legendre polynomial.
void gauss_legendre(int n, double *angle, double *weight) {
    for (int i = 0; i < n; ++i) {
        double x = std::cos(PI * (i + 0.75) / (n + 0.5)), derivative = 0.0;
        for (int pass = 0; pass < 100; ++pass) {
            double p0 = 1.0, p1 = x;
            for (int k = 2; k <= n; ++k) {
                const double p2 = ((2 * k - 1) * x * p1 - (k - 1) * p0) / k;
                p0 = p1;
                p1 = p2;
            }
            derivative = n * (x * p1 - p0) / (x * x - 1.0);
            const double step = p1 / derivative;
            x -= step;
            if (std::fabs(step) < 1e-15) break;
        }
        const int at = n - 1 - i;  // ascending
        angle[at] = 0.25 * PI * (1.0 + x);
        weight[at] = 0.25 * PI * 2.0 / ((1.0 - x * x) * derivative * derivative);
    }
}

// Barycentric weights of the Chebyshev extrema: alternating, halved at the ends.
double barycentric(int j, int n) { return (j % 2 ? -1.0 : 1.0) * (j == 0 || j == n ? 0.5 : 1.0); }

double chebyshev(int j, int n) { return 0.5 * (1.0 - std::cos(PI * j / n)); }

// Cardinal functions at x of the points 0 .. n; the one of point 0 is dropped, because H(0) = 0.
void interpolation_row(int n, double x, double *row) {
    double sum = 0.0;
    for (int j = 0; j <= n; ++j) {
        const double distance = x - chebyshev(j, n);
        if (std::fabs(distance) < 1e-15) {
            for (int k = 1; k <= n; ++k) row[k - 1] = k == j ? 1.0 : 0.0;
            return;
        }
        const double term = barycentric(j, n) / distance;
        sum += term;
        if (j > 0) row[j - 1] = term;
    }
    for (int j = 0; j < n; ++j) row[j] /= sum;
}

}  // namespace

template <int N_, int L_, int P_> Quadrature<N_, L_, P_>::Quadrature() {
    double angle[L > P ? L : P];
    for (int i = 0; i < N; ++i) z[i] = chebyshev(i + 1, N);
    gauss_legendre(L, angle, weight);
    for (int k = 0; k < L; ++k) {
        sine[k] = std::sin(angle[k]);
        cosine[k] = std::cos(angle[k]);
        for (int i = 0; i < N; ++i) interpolation_row(N, z[i] * cosine[k], lookup[i][k]);
    }
    gauss_legendre(P, angle, premium_weight);
    for (int k = 0; k < P; ++k) {
        premium_sine[k] = std::sin(angle[k]);
        premium_cosine[k] = std::cos(angle[k]);
        interpolation_row(N, premium_cosine[k], premium_lookup[k]);
    }
    // Derivatives of the cardinal functions at the last point.
    double diagonal = 0.0;
    for (int j = 0; j < N; ++j) {
        const double entry = barycentric(j, N) / barycentric(N, N) / (1.0 - chebyshev(j, N));
        diagonal -= entry;
        if (j > 0) slope[j - 1] = entry;
    }
    slope[N - 1] = diagonal;
}

const SmallQuadrature SMALL_QUADRATURE;
const MediumQuadrature MEDIUM_QUADRATURE;
const LargeQuadrature LARGE_QUADRATURE;

}  // namespace axiom
