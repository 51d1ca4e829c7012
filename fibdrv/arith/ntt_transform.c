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
#include "ntt_transform.h"

/* Up to so many points, 32 KiB, one level is done after the other. */
#define CACHED_POINTS	4096

/* The loops over longer nodes call port_poll() after so many turns. */
#define POLL_TURNS	4096

int ntt_fill_roots(const struct ntt_prime *prime, const struct ntt_plan *plan,
		   u64 *roots)
{
	const size_t count = ntt_roots(plan);
	u64 root = prime->root;
	unsigned int order;
	size_t i, j;

	/* roots[2^j] has order 2^(j + 2): down from the highest one. */
	for (order = NTT_ORDER_LOG2; order > plan->blocks_log2; order--)
		root = ntt_reduce_to_p(ntt_multiply(root, root, prime), prime);
	for (i = count / 2; i; i /= 2) {
		roots[i] = root;
		root = ntt_reduce_to_p(ntt_multiply(root, root, prime), prime);
	}
	roots[0] = prime->one;
	for (i = 2; i < count; i *= 2) {
		for (j = 1; j < i; j++) {
			u64 product = ntt_multiply(roots[i], roots[j], prime);

			roots[i + j] = ntt_reduce_to_p(product, prime);
			if (j % POLL_TURNS == 0 && port_poll())
				return -EINTR;
		}
	}
	return 0;
}

/*
 * A part of two levels: @count of the t turns for a node of 4t points, which
 * begins at x. See ntt_forward() for @half.
 */
static __always_inline void forward_two_levels(const struct ntt_prime *prime,
					       const u64 *roots, u64 *x,
					       size_t t, size_t count,
					       size_t node, bool half)
{
	const struct ntt_prime pr = *prime;
	const u64 s = roots[node], s0 = roots[2 * node], s1 = roots[2 * node + 1];
	size_t i;

	for (i = 0; i < count; i++) {
		u64 x0 = ntt_reduce_to_2p(x[i], &pr);
		u64 x1 = ntt_reduce_to_2p(x[i + t], &pr);
		u64 x2, x3, y0, y1, y2, y3;

		if (half) {
			x2 = 0;
			x3 = 0;
		} else if (!node) {
			x2 = ntt_reduce_to_2p(x[i + 2 * t], &pr);
			x3 = ntt_reduce_to_2p(x[i + 3 * t], &pr);
		} else {
			x2 = ntt_multiply(x[i + 2 * t], s, &pr);
			x3 = ntt_multiply(x[i + 3 * t], s, &pr);
		}
		y0 = ntt_reduce_to_2p(x0 + x2, &pr);
		y2 = ntt_add_if_negative(x0 - x2, 2 * pr.p);
		if (node)
			y1 = ntt_multiply(x1 + x3, s0, &pr);
		else
			y1 = ntt_reduce_to_2p(x1 + x3, &pr);
		y3 = ntt_multiply(x1 - x3 + 2 * pr.p, s1, &pr);

		x[i] = y0 + y1;
		x[i + t] = y0 - y1 + 2 * pr.p;
		x[i + 2 * t] = y2 + y3;
		x[i + 3 * t] = y2 - y3 + 2 * pr.p;
	}
}

/* The roots of node 0 are 1, 1 and one of -1: two products less, or three. */
static void forward_turns(const struct ntt_prime *prime, const u64 *roots,
			  u64 *x, size_t t, size_t count, size_t node)
{
	if (node)
		forward_two_levels(prime, roots, x, t, count, node, false);
	else
		forward_two_levels(prime, roots, x, t, count, 0, false);
}

/* Two levels of a long node, with pauses. */
static int forward_node(const struct ntt_prime *prime, const u64 *roots, u64 *x,
			size_t t, size_t node, bool half)
{
	size_t done, count;

	for (done = 0; done < t; done += count) {
		count = t - done < POLL_TURNS ? t - done : POLL_TURNS;
		if (port_poll())
			return -EINTR;
		if (half)
			forward_two_levels(prime, roots, x + done, t, count, 0,
					   true);
		else
			forward_turns(prime, roots, x + done, t, count, node);
	}
	return 0;
}

/* The last level, if their number is odd. */
static void forward_one_level(const struct ntt_prime *prime, const u64 *roots,
			      u64 *x, size_t t, size_t node)
{
	const struct ntt_prime pr = *prime;
	const u64 s = roots[node];
	size_t i;

	for (i = 0; i < t; i++) {
		u64 x0 = ntt_reduce_to_2p(x[i], &pr);
		u64 x1 = ntt_multiply(x[i + t], s, &pr);

		x[i] = x0 + x1;
		x[i + t] = x0 - x1 + 2 * pr.p;
	}
}

/* All levels below a node. */
static int forward(const struct ntt_prime *prime, const u64 *roots, u64 *x,
		   size_t points, unsigned int levels, size_t node)
{
	size_t nodes, i;
	int err;

	if (points > CACHED_POINTS) {
		points /= 4;
		err = forward_node(prime, roots, x, points, node, false);
		for (i = 0; i < 4 && !err; i++)
			err = forward(prime, roots, x + i * points, points,
				      levels - 2, 4 * node + i);
		return err;
	}
	err = port_poll();
	if (err)
		return err;
	for (nodes = 1; levels >= 2; nodes *= 4, levels -= 2) {
		points /= 4;
		for (i = 0; i < nodes; i++)
			forward_turns(prime, roots, x + 4 * points * i, points,
				      points, node * nodes + i);
	}
	points /= 2;
	for (i = 0; levels && i < nodes; i++)
		forward_one_level(prime, roots, x + 2 * points * i, points,
				  node * nodes + i);
	return 0;
}

int ntt_forward(const struct ntt_prime *prime, const struct ntt_plan *plan,
		const u64 *roots, u64 *x, bool half)
{
	const size_t points = plan->points / 4;
	size_t i;
	int err = forward_node(prime, roots, x, points, 0, half);

	for (i = 0; i < 4 && !err; i++)
		err = forward(prime, roots, x + i * points, points,
			      plan->blocks_log2 - 2, i);
	return err;
}

/*
 * The index of the inverse of roots[node], apart from its sign. The roots of a
 * level are powers of one of them up to the one before -1, in an order that puts
 * opposite exponents at opposite places.
 */
static size_t inverse_root(size_t node)
{
	const size_t level = (size_t)1 << (63 - __builtin_clzll(node));

	return 3 * level - 1 - node;
}

/* forward_two_levels() backwards, and times 4. */
static __always_inline void backward_two_levels(const struct ntt_prime *prime,
						const u64 *roots, u64 *x,
						size_t t, size_t count,
						size_t node)
{
	const struct ntt_prime pr = *prime;
	const size_t at = node ? inverse_root(node) : 0;
	const u64 s = roots[at], s0 = roots[2 * at + 1], s1 = roots[2 * at];
	size_t i;

	for (i = 0; i < count; i++) {
		u64 x0 = x[i], x1 = x[i + t];
		u64 x2 = x[i + 2 * t], x3 = x[i + 3 * t];
		u64 y0 = ntt_reduce_to_2p(x0 + x1, &pr);
		u64 y2 = ntt_reduce_to_2p(x2 + x3, &pr);
		u64 y1, y3;

		if (node) {
			y1 = ntt_multiply(x1 - x0 + 2 * pr.p, s0, &pr);
			y3 = ntt_multiply(x3 - x2 + 2 * pr.p, s1, &pr);
		} else {
			y1 = ntt_add_if_negative(x0 - x1, 2 * pr.p);
			y3 = ntt_multiply(x3 - x2 + 2 * pr.p, s0, &pr);
		}
		x[i] = ntt_reduce_to_2p(y0 + y2, &pr);
		x[i + t] = ntt_reduce_to_2p(y1 + y3, &pr);
		if (node) {
			x[i + 2 * t] = ntt_multiply(y2 - y0 + 2 * pr.p, s, &pr);
			x[i + 3 * t] = ntt_multiply(y3 - y1 + 2 * pr.p, s, &pr);
		} else {
			x[i + 2 * t] = ntt_add_if_negative(y0 - y2, 2 * pr.p);
			x[i + 3 * t] = ntt_add_if_negative(y1 - y3, 2 * pr.p);
		}
	}
}

static void backward_turns(const struct ntt_prime *prime, const u64 *roots,
			   u64 *x, size_t t, size_t count, size_t node)
{
	if (node)
		backward_two_levels(prime, roots, x, t, count, node);
	else
		backward_two_levels(prime, roots, x, t, count, 0);
}

/* Two levels of a long node, with pauses. */
static int backward_node(const struct ntt_prime *prime, const u64 *roots, u64 *x,
			 size_t t, size_t node)
{
	size_t done, count;

	for (done = 0; done < t; done += count) {
		count = t - done < POLL_TURNS ? t - done : POLL_TURNS;
		if (port_poll())
			return -EINTR;
		backward_turns(prime, roots, x + done, t, count, node);
	}
	return 0;
}

static void backward_one_level(const struct ntt_prime *prime, const u64 *roots,
			       u64 *x, size_t t, size_t node)
{
	const struct ntt_prime pr = *prime;
	const u64 s = node ? roots[inverse_root(node)] : pr.p - pr.one;
	size_t i;

	for (i = 0; i < t; i++) {
		u64 x0 = x[i], x1 = x[i + t];

		x[i] = ntt_reduce_to_2p(x0 + x1, &pr);
		x[i + t] = ntt_multiply(x1 - x0 + 2 * pr.p, s, &pr);
	}
}

/* All levels below a node, the last one first. */
static int backward(const struct ntt_prime *prime, const u64 *roots, u64 *x,
		    size_t points, unsigned int levels, size_t node)
{
	size_t nodes, i;
	int err = 0;

	if (points > CACHED_POINTS) {
		points /= 4;
		for (i = 0; i < 4 && !err; i++)
			err = backward(prime, roots, x + i * points, points,
				       levels - 2, 4 * node + i);
		if (!err)
			err = backward_node(prime, roots, x, points, node);
		return err;
	}
	err = port_poll();
	if (err)
		return err;
	nodes = (size_t)1 << levels;
	points >>= levels;
	if (levels % 2) {
		nodes /= 2;
		for (i = 0; i < nodes; i++)
			backward_one_level(prime, roots, x + 2 * points * i,
					   points, node * nodes + i);
		points *= 2;
	}
	while (nodes > 1) {
		nodes /= 4;
		for (i = 0; i < nodes; i++)
			backward_turns(prime, roots, x + 4 * points * i, points,
				       points, node * nodes + i);
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
		err = backward_node(prime, roots, x, points, 0);
	return err;
}
