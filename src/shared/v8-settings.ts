/**
 * V8 as a program that passes other people's bytes on wants it. By its own rules the space for young objects grows to 48 MiB under load
 * and never shrinks; the read buffers of bodies count as pressure on the whole heap, which is answered with a full collection for every
 * few dozen MiB; the parser of undici, one WebAssembly function of many thousand instructions, is optimized for 30 MiB of memory
 * and no measurable gain; and what runs once for 64 KiB is compiled late. Nothing here changes what a program does, only what it costs.
 */
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const MiB = 1024 * 1024;
/** Both halves of the young space together: the smallest at which nothing measurable is lost against the largest. */
const YOUNG_SPACE_BYTES = 16 * MiB;
/** Young garbage is collected each time so many bytes of bodies came by. */
const BYTES_PER_COLLECTION = 8 * MiB;

let collect: (() => void) | null = null;
let bytesSince = 0;

/** For a process that is a hub or an agent and nothing else: it sets V8's flags. */
export function settleV8(): void {
	setFlagsFromString('--no-wasm-tier-up');
	setFlagsFromString('--no-wasm-dynamic-tiering');
	// Times that a function is seen to be busy before it is optimized, instead of 3. Later versions have a compiler for the time before.
	if (process.versions.v8.startsWith('11.')) setFlagsFromString('--ticks-before-optimization=1');
	setFlagsFromString('--expose-gc');
	const gc: unknown = runInNewContext('typeof gc === "function" ? gc : undefined');
	if (typeof gc !== 'function') return;
	collect = () => void gc({ type: 'minor' });
	growYoungSpace(collect);
	// What loading the program left behind, and growing: it would stay, and count as memory in use, until as much again has come.
	gc();
}

/** Says that bytes of a body came in a buffer that nobody will keep. */
export function bytesPassed(bytes: number): void {
	bytesSince += bytes;
	if (bytesSince < BYTES_PER_COLLECTION) return;
	bytesSince = 0;
	collect?.();
}

/** V8 grows the young space by a factor once as much as it holds has survived: so as much survives here, once, if it is small yet. */
function growYoungSpace(collectNow: () => void): void {
	collectNow();
	const before = youngSpaceBytes();
	if (before < YOUNG_SPACE_BYTES) {
		setFlagsFromString(`--semi-space-growth-factor=${Math.floor(YOUNG_SPACE_BYTES / before)}`);
		const survivors: number[][] = [];
		for (let bytes = 0; bytes < before && youngSpaceBytes() === before; bytes += 1024) {
			survivors.push(new Array<number>(128).fill(0.5));
		}
		collectNow();
		survivors.length = 0;
	}
	setFlagsFromString('--semi-space-growth-factor=1');
}

function youngSpaceBytes(): number {
	return getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')?.space_size ?? YOUNG_SPACE_BYTES;
}
