/** The keys of a heartbeat, which both ends of a tunnel have. */
import { z } from 'zod';
import { duration } from './values.ts';

/** Shorter than this it would find dead what is only slow. */
const LEAST_HEARTBEAT = 50;

export const heartbeat = z
	.strictObject({
		interval: duration(LEAST_HEARTBEAT)
			.default(10_000)
			.describe('A tunnel without a byte for this long is asked for a sign of life.'),
		timeout: duration(LEAST_HEARTBEAT)
			.default(5_000)
			.describe('How long the answer may take before the tunnel is given up.'),
	})
	.prefault({});
