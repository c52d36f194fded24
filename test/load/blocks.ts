/** Bytes of any length that both ends can make, no two blocks alike: what is lost, doubled or out of order changes the hash. */
import { seeded } from '../helpers/seeded.ts';

/** Bytes of a block. */
export const BLOCK = 256 * 1024;
const SEED = 1;

/** @param size in bytes, a multiple of BLOCK. What was yielded may be sent without a copy. */
export function* blocks(size: number): Generator<Buffer> {
	const below = seeded(SEED);
	const noise = Buffer.from(Uint8Array.from({ length: BLOCK }, () => below(256)));
	for (let number = 0; number < size / BLOCK; number++) {
		const block = Buffer.from(noise);
		block.writeUInt32BE(number, 0);
		yield block;
	}
}
