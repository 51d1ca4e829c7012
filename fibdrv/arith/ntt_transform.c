// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The transforms modulo one prime.
 *
 * Node i of a level stands for polynomials modulo x^2t - s^2 with s = roots[i],
 * and has the children 2i, modulo x^t - s, and 2i + 1, modulo x^t + s. So
 * roots[2i] is a square root of roots[i], roots[2i + 1] one of -roots[i], and
 * as the whole is x^points - 1, roots[0] is 1. The table of a short transform
 * is the beginning of that of a longer one, and all points of a node are
 * multiplied by the same root.
 *
 * Two levels are done at once, which halves the loads and stores. Few sums are
 * reduced: D. Harvey, "Faster arithmetic for number-theoretic transforms"
 * (2014).
 */
#include "ntt_prime.h"

/* Up to so many points, 32 KiB, one level is done after the other. */
#define CACHED_POINTS	4096

void ntt_fill_roots(const struct ntt_prime *prime, const struct ntt_plan *plan,
		    u64 *roots)
{
	const size_t count = ntt_roots(plan);
	u64 root = prime->root;
	unsigned int order;
	size_t i, j;

	/* roots[2^j] has order 2^(j + 2): down from the highest one. */
	for (order = NTT_ORDER_LOG2; order > plan->blocks_log2; order--)
		root = ntt_reduce(ntt_times(root, root, prime), prime);
	for (i = count / 2; i; i /= 2) {
		roots[i] = root;
		root = ntt_reduce(ntt_times(root, root, prime), prime);
	}
	roots[0] = prime->one;
	for (i = 2; i < count; i *= 2) {
		for (j = 1; j < i; j++)
			roots[i + j] = ntt_reduce(ntt_times(roots[i], roots[j],
							    prime), prime);
	}
}

/* Two levels, from a node of 4t points on; see ntt_forward() for @half. */
static __always_inline void split_twice(const struct ntt_prime *prime,
					const u64 *roots, u64 *x, size_t t,
					size_t node, bool half)
{
	const struct ntt_prime pr = *prime;
	const u64 s = roots[node], s0 = roots[2 * node], s1 = roots[2 * node + 1];
	size_t i;

	for (i = 0; i < t; i++) {
		u64 x0 = ntt_halve(x[i], &pr);
		u64 x1 = ntt_halve(x[i + t], &pr);
		u64 x2, x3, y0, y1, y2, y3;

		if (half) {
			x2 = 0;
			x3 = 0;
		} else if (!node) {
			x2 = ntt_halve(x[i + 2 * t], &pr);
			x3 = ntt_halve(x[i + 3 * t], &pr);
		} else {
			x2 = ntt_times(x[i + 2 * t], s, &pr);
			x3 = ntt_times(x[i + 3 * t], s, &pr);
		}
		y0 = ntt_halve(x0 + x2, &pr);
		y2 = ntt_wrap(x0 - x2, 2 * pr.p);
		y1 = node ? ntt_times(x1 + x3, s0, &pr) : ntt_halve(x1 + x3, &pr);
		y3 = ntt_times(x1 - x3 + 2 * pr.p, s1, &pr);

		x[i] = y0 + y1;
		x[i + t] = y0 - y1 + 2 * pr.p;
		x[i + 2 * t] = y2 + y3;
		x[i + 3 * t] = y2 - y3 + 2 * pr.p;
	}
}

/* The roots of node 0 are 1, 1 and one of -1: two products less, or three. */
static void split_node(const struct ntt_prime *prime, const u64 *roots, u64 *x,
		       size_t t, size_t node)
{
	if (node)
		split_twice(prime, roots, x, t, node, false);
	else
		split_twice(prime, roots, x, t, 0, false);
}

/* The last level, if their number is odd. */
static void split_once(const struct ntt_prime *prime, const u64 *roots, u64 *x,
		       size_t t, size_t node)
{
	const struct ntt_prime pr = *prime;
	const u64 s = roots[node];
	size_t i;

	for (i = 0; i < t; i++) {
		u64 x0 = ntt_halve(x[i], &pr);
		u64 x1 = ntt_times(x[i + t], s, &pr);

		x[i] = x0 + x1;
		x[i + t] = x0 - x1 + 2 * pr.p;
	}
}

/* All levels below a node. */
static int forward(const struct ntt_prime *prime, const u64 *roots, u64 *x,
		   size_t points, unsigned int levels, size_t node)
{
	size_t nodes, i;
	int err = port_poll();

	if (err)
		return err;
	if (points > CACHED_POINTS) {
		points /= 4;
		split_node(prime, roots, x, points, node);
		for (i = 0; i < 4 && !err; i++)
			err = forward(prime, roots, x + i * points, points,
				      levels - 2, 4 * node + i);
		return err;
	}
	for (nodes = 1; levels >= 2; nodes *= 4, levels -= 2) {
		points /= 4;
		for (i = 0; i < nodes; i++)
			split_node(prime, roots, x + 4 * points * i, points,
				   node * nodes + i);
	}
	points /= 2;
	for (i = 0; levels && i < nodes; i++)
		split_once(prime, roots, x + 2 * points * i, points,
			   node * nodes + i);
	return 0;
}

int ntt_forward(const struct ntt_prime *prime, const struct ntt_plan *plan,
		const u64 *roots, u64 *x, bool half)
{
	const size_t points = plan->points / 4;
	size_t i;
	int err = port_poll();

	if (err)
		return err;
	if (half)
		split_twice(prime, roots, x, points, 0, true);
	else
		split_node(prime, roots, x, points, 0);
	for (i = 0; i < 4 && !err; i++)
		err = forward(prime, roots, x + i * points, points,
			      plan->blocks_log2 - 2, i);
	return err;
}

/*
 * Where the inverse of roots[node] is, but for its sign. The roots of a level
 * are powers of one of them up to the one before -1, in an order that puts
 * opposite exponents at opposite places.
 */
static size_t mirror(size_t node)
{
	const size_t level = (size_t)1 << (63 - __builtin_clzll(node));

	return 3 * level - 1 - node;
}

/* split_twice() backwards, and times 4. */
static __always_inline void join_twice(const struct ntt_prime *prime,
				       const u64 *roots, u64 *x, size_t t,
				       size_t node)
{
	const struct ntt_prime pr = *prime;
	const size_t at = node ? mirror(node) : 0;
	const u64 s = roots[at], s0 = roots[2 * at + 1], s1 = roots[2 * at];
	size_t i;

	for (i = 0; i < t; i++) {
		u64 x0 = x[i], x1 = x[i + t];
		u64 x2 = x[i + 2 * t], x3 = x[i + 3 * t];
		u64 y0 = ntt_halve(x0 + x1, &pr), y2 = ntt_halve(x2 + x3, &pr);
		u64 y1, y3;

		if (node) {
			y1 = ntt_times(x1 - x0 + 2 * pr.p, s0, &pr);
			y3 = ntt_times(x3 - x2 + 2 * pr.p, s1, &pr);
		} else {
			y1 = ntt_wrap(x0 - x1, 2 * pr.p);
			y3 = ntt_times(x3 - x2 + 2 * pr.p, s0, &pr);
		}
		x[i] = ntt_halve(y0 + y2, &pr);
		x[i + t] = ntt_halve(y1 + y3, &pr);
		if (node) {
			x[i + 2 * t] = ntt_times(y2 - y0 + 2 * pr.p, s, &pr);
			x[i + 3 * t] = ntt_times(y3 - y1 + 2 * pr.p, s, &pr);
		} else {
			x[i + 2 * t] = ntt_wrap(y0 - y2, 2 * pr.p);
			x[i + 3 * t] = ntt_wrap(y1 - y3, 2 * pr.p);
		}
	}
}

static void join_node(const struct ntt_prime *prime, const u64 *roots, u64 *x,
		      size_t t, size_t node)
{
	if (node)
		join_twice(prime, roots, x, t, node);
	else
		join_twice(prime, roots, x, t, 0);
}

static void join_once(const struct ntt_prime *prime, const u64 *roots, u64 *x,
		      size_t t, size_t node)
{
	const struct ntt_prime pr = *prime;
	const u64 s = node ? roots[mirror(node)] : pr.p - pr.one;
	size_t i;

	for (i = 0; i < t; i++) {
		u64 x0 = x[i], x1 = x[i + t];

		x[i] = ntt_halve(x0 + x1, &pr);
		x[i + t] = ntt_times(x1 - x0 + 2 * pr.p, s, &pr);
	}
}

/* All levels below a node, the last one first. */
static int backward(const struct ntt_prime *prime, const u64 *roots, u64 *x,
		    size_t points, unsigned int levels, size_t node)
{
	size_t nodes, i;
	int err = port_poll();

	if (err)
		return err;
	if (points > CACHED_POINTS) {
		points /= 4;
		for (i = 0; i < 4 && !err; i++)
			err = backward(prime, roots, x + i * points, points,
				       levels - 2, 4 * node + i);
		if (!err)
			join_node(prime, roots, x, points, node);
		return err;
	}
	nodes = (size_t)1 << levels;
	points >>= levels;
	if (levels % 2) {
		nodes /= 2;
		for (i = 0; i < nodes; i++)
			join_once(prime, roots, x + 2 * points * i, points,
				  node * nodes + i);
		points *= 2;
	}
	while (nodes > 1) {
		nodes /= 4;
		for (i = 0; i < nodes; i++)
			join_node(prime, roots, x + 4 * points * i, points,
				  node * nodes + i);
		points *= 4;
	}
	return 0;
}

int ntt_backward(const struct ntt_prime *prime, const struct ntt_plan *plan,
		 const u64 *roots, u64 *x)
{
	const size_t points = plan->points / 4;
	size_t i;
	int err = 0;

	for (i = 0; i < 4 && !err; i++)
		err = backward(prime, roots, x + i * points, points,
			       plan->blocks_log2 - 2, i);
	if (!err)
		err = port_poll();
	if (!err)
		join_node(prime, roots, x, points, 0);
	return err;
}

/*
 * A product modulo x^block - root: what goes beyond x^block comes back at the
 * lower end, times the root. Unrolled for each length of a block, which is a
 * constant then.
 */
static __always_inline void multiply_points(const struct ntt_prime *prime,
					    u64 *x, const u64 *y,
					    const size_t block, u64 root)
{
	u64 a[NTT_BLOCK_MAX], b[2 * NTT_BLOCK_MAX];
	const struct ntt_prime pr = *prime;
	size_t i, j;

#pragma GCC unroll 7
	for (i = 0; i < block; i++) {
		a[i] = ntt_reduce(ntt_halve(x[i], &pr), &pr);
		b[block + i] = ntt_reduce(ntt_halve(y[i], &pr), &pr);
		b[i] = ntt_reduce(ntt_times(b[block + i], root, &pr), &pr);
	}
#pragma GCC unroll 7
	for (i = 0; i < block; i++) {
		u64 high = 0, low = 0;

#pragma GCC unroll 7
		for (j = 0; j < block; j++)
			limb_mul_accumulate(&high, &low, a[j], b[block + i - j]);
		/* Below 2^124 times NTT_BLOCK_MAX, 2^63 p: now below 2^64 p. */
		high = ntt_halve(high, &pr);
		x[i] = ntt_montgomery(ntt_reduce(high, &pr), low, &pr);
	}
}

static void multiply_block(const struct ntt_prime *prime, u64 *x, const u64 *y,
			   size_t block, u64 root)
{
	if (block == 4)
		multiply_points(prime, x, y, 4, root);
	else if (block == 5)
		multiply_points(prime, x, y, 5, root);
	else if (block == 6)
		multiply_points(prime, x, y, 6, root);
	else
		multiply_points(prime, x, y, 7, root);
}

int ntt_pointwise(const struct ntt_prime *prime, const struct ntt_plan *plan,
		  const u64 *roots, u64 *x, const u64 *y)
{
	const size_t block = plan->block, pairs = ntt_roots(plan);
	size_t i;
	int err;

	for (i = 0; i < pairs; i++) {
		if (i % (CACHED_POINTS / 8) == 0) {
			err = port_poll();
			if (err)
				return err;
		}
		multiply_block(prime, x, y, block, roots[i]);
		multiply_block(prime, x + block, y + block, block,
			       prime->p - roots[i]);
		x += 2 * block;
		y += 2 * block;
	}
	return 0;
}
