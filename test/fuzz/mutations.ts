/** Ways to spoil a list of frames, one at a time: bytes, headers, lengths, order. Pure but for the random numbers it is given. */

export type Random = (below: number) => number;

const INTERESTING = [0, 1, 0x7f, 0x80, 0xff, 0x3fff, 0x4000, 0x4001, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

type Mutation = (frames: Buffer[], at: number, random: Random, others: readonly Buffer[]) => void;

/** Changes a copy of one frame. */
function changed(change: (bytes: Buffer, random: Random) => void): Mutation {
	return (frames, at, random) => {
		const copy = Buffer.from(frames[at] as Buffer);
		change(copy, random);
		frames[at] = copy;
	};
}

const flipBit = changed((bytes, random) => {
	const at = random(bytes.length);
	bytes[at] = (bytes[at] as number) ^ (1 << random(8));
});
const setByte = changed((bytes, random) => {
	bytes[random(bytes.length)] = random(256);
});
const setType = changed((bytes, random) => {
	bytes[3] = random(12);
});
const setFlags = changed((bytes, random) => {
	bytes[4] = random(2) === 0 ? random(256) : (bytes[4] as number) ^ (1 << random(6));
});
const setStream = changed((bytes, random) => {
	bytes.writeUInt32BE(random(4) === 0 ? (INTERESTING[random(INTERESTING.length)] as number) : random(24), 5);
});
const setNumber = changed((bytes, random) => {
	if (bytes.length < 13) return;
	bytes.writeUInt32BE(INTERESTING[random(INTERESTING.length)] as number, 9 + random(bytes.length - 12));
});
/** The length in the header lies, so that all that follows is read at another place. */
const lieAboutLength = changed((bytes, random) => {
	const length =
		random(3) === 0
			? (INTERESTING[random(INTERESTING.length)] as number) & 0xff_ffff
			: Math.max(0, bytes.length - 11 + random(5));
	bytes.writeUIntBE(length, 0, 3);
});
/** A shorter or longer payload with a length that tells so. */
const resize: Mutation = (frames, at, random) => {
	const old = frames[at] as Buffer;
	const length = Math.max(0, old.length - 9 + random(9) - 4);
	const copy = Buffer.alloc(9 + length);
	old.copy(copy, 0, 0, Math.min(old.length, copy.length));
	copy.writeUIntBE(length, 0, 3);
	frames[at] = copy;
};
const remove: Mutation = (frames, at) => void frames.splice(at, 1);
const repeat: Mutation = (frames, at, random) => {
	frames.splice(at, 0, ...new Array<Buffer>(1 + random(4)).fill(frames[at] as Buffer));
};
const swap: Mutation = (frames, at, random) => {
	const to = random(frames.length);
	[frames[at], frames[to]] = [frames[to] as Buffer, frames[at] as Buffer];
};
const insert: Mutation = (frames, at, random, others) => {
	frames.splice(at, 0, others[random(others.length)] as Buffer);
};
const cutShort: Mutation = (frames, at, random) => {
	const bytes = frames[at] as Buffer;
	frames[at] = bytes.subarray(0, random(bytes.length) + 1);
};

const MUTATIONS: readonly Mutation[] = [
	flipBit,
	flipBit,
	setByte,
	setType,
	setFlags,
	setStream,
	setNumber,
	setNumber,
	lieAboutLength,
	resize,
	remove,
	repeat,
	swap,
	insert,
	insert,
	cutShort,
];

/** @param from the first frame that may be spoiled @param others frames of other sessions */
export function mutate(frames: Buffer[], from: number, random: Random, others: readonly Buffer[]): void {
	if (frames.length <= from) return;
	const at = from + random(frames.length - from);
	if ((frames[at] as Buffer).length < 9) return;
	(MUTATIONS[random(MUTATIONS.length)] as Mutation)(frames, at, random, others);
}

/** The same bytes, cut at other places. */
export function fragment(bytes: Buffer, random: Random): Buffer[] {
	const style = random(4);
	const largest = style === 0 ? 4 : style === 1 ? 30 : style === 2 ? 2000 : 1_000_000;
	const pieces: Buffer[] = [];
	for (let at = 0; at < bytes.length; ) {
		const end = Math.min(bytes.length, at + 1 + random(largest));
		pieces.push(bytes.subarray(at, end));
		at = end;
	}
	return pieces;
}
