/** The kinds of values that a configuration has, each from text to what it means. Knows no keys; never repeats a secret. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { formatDuration, parseDuration } from '../shared/duration.ts';
import { UsageError } from '../shared/errors.ts';
import { choiceOf, type Kind, listLike, mapLike, ofKind, TEXT, textLike } from './kinds.ts';

/** A longer timer would fire at once in Node. */
const LONGEST_TIMER = 2 ** 31 - 1;

const quoted = (text: string) => JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);

function textTo<T>(parse: (text: string) => T, json: Kind['json'] = TEXT, write?: Kind['write']) {
	const type = z.string({ error: 'takes one value, not a list' }).transform((text, context) => {
		const [value, fault] = attempt(parse, text);
		if (value !== undefined) return value;
		context.addIssue({ code: 'custom', message: fault });
		return z.NEVER;
	});
	return ofKind(type, json, write);
}

function attempt<T>(parse: (text: string) => T, text: string): [T, undefined] | [undefined, string] {
	try {
		return [parse(text), undefined];
	} catch (error) {
		if (error instanceof UsageError) return [undefined, error.message];
		throw error;
	}
}

function parseInteger(text: string, least: number, most: number, meaning: string): number {
	const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
	if (value >= least && value <= most) return value;
	throw new UsageError(`${quoted(text)} is not ${meaning}: write a whole number from ${least} to ${most}`);
}

const whole = (least: number, most?: number, word = '') => ({
	...textLike(`\\d+${word}`, 'integer'),
	minimum: least,
	...(most !== undefined && { maximum: most }),
});

export const integer = (least: number, most = Number.MAX_SAFE_INTEGER) =>
	textTo(
		(text) => {
			if (most < Number.MAX_SAFE_INTEGER) return parseInteger(text, least, most, 'a number in range');
			if (/^\d{1,15}$/.test(text) && Number(text) >= least) return Number(text);
			throw new UsageError(`${quoted(text)} is not a number in range: write a whole number from ${least} up`);
		},
		whole(least, most < Number.MAX_SAFE_INTEGER ? most : undefined),
	);

export const port = () => textTo((text) => parseInteger(text, 0, 65_535, 'a port'), whole(0, 65_535));

export const portOrOff = () =>
	textTo(
		(text) => {
			if (text.toLowerCase() === 'off') return 'off' as const;
			const value = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
			if (value <= 65_535) return value;
			throw new UsageError(`${quoted(text)} is not a port: write a whole number from 0 to 65535, or off`);
		},
		{ anyOf: [{ enum: ['off'] }, whole(0, 65_535, '|[Oo][Ff][Ff]')] },
	);

const YES = ['true', 'yes', 'on', '1'];
const NO = ['false', 'no', 'off', '0'];

/** Whether a text says no; false for everything else, right or wrong. */
export function meansNo(text: string): boolean {
	return NO.includes(text.toLowerCase());
}

export const boolean = () =>
	textTo(
		(text) => {
			const word = text.toLowerCase();
			if (YES.includes(word) || NO.includes(word)) return YES.includes(word);
			throw new UsageError(`${quoted(text)} is neither true nor false: write one of them`);
		},
		textLike([...YES, ...NO].join('|'), 'boolean'),
	);

export const oneOf = <const T extends string>(...choices: readonly T[]) =>
	textTo((text) => {
		const choice = choices.find((candidate) => candidate === text);
		if (choice === undefined) throw new UsageError(`${quoted(text)} is not a choice: write ${choices.join(' or ')}`);
		return choice;
	}, choiceOf(choices));

/** Milliseconds. */
export const duration = (least = 0) =>
	textTo(
		(text) => {
			const value = parseDuration(text);
			if (value < least) throw new UsageError(`${quoted(text)} is too short: write at least ${least}ms`);
			if (value > LONGEST_TIMER) throw new UsageError(`${quoted(text)} is too long: write at most 24d`);
			return value;
		},
		textLike('(?:\\d+(?:\\.\\d+)?(?:ms|s|m|h|d))+|\\d+(?:\\.\\d+)?', 'number'),
		(value) => formatDuration(Number(value)),
	);

const SIZE = /^(\d+(?:\.\d+)?) ?(B|kB|KB|KiB|MB|MiB|GB|GiB|TB|TiB)?$/;
/** Names from the largest on, for what a size is written as. */
const BINARY = ['TiB', 'GiB', 'MiB', 'KiB'];
const BYTES: Readonly<Record<string, number>> = {
	B: 1,
	kB: 1e3,
	KB: 1e3,
	KiB: 2 ** 10,
	MB: 1e6,
	MiB: 2 ** 20,
	GB: 1e9,
	GiB: 2 ** 30,
	TB: 1e12,
	TiB: 2 ** 40,
};

/** So many in so long, in milliseconds. */
export const rate = () =>
	textTo(
		(text) => {
			const [, requests = '', time = ''] = /^(\d{1,9})\/(.+)$/.exec(text) ?? [];
			// A unit alone is one of it.
			const [period = 0] = attempt(parseDuration, /^[a-z]/.test(time) ? `1${time}` : time);
			if (Number(requests) > 0 && period > 0) return { requests: Number(requests), period };
			throw new UsageError(`${quoted(text)} is not a rate: write a number and a time, such as 10/s, 600/1h or 5/10s`);
		},
		textLike('\\d+/(?:(?:\\d+(?:\\.\\d+)?(?:ms|s|m|h|d))+|ms|s|m|h|d|\\d+(?:\\.\\d+)?)'),
		(value) => {
			const { requests, period } = value as { requests: number; period: number };
			return `${requests}/${formatDuration(period)}`;
		},
	);

/** A part of all, from 0 to 1. */
export const share = () =>
	textTo(
		(text) => {
			const value = /^(?:0|0?\.\d{1,9}|1(?:\.0{1,9})?)$/.test(text) ? Number(text) : Number.NaN;
			if (Number.isNaN(value))
				throw new UsageError(`${quoted(text)} is not a share: write a number from 0 to 1, such as 0.01`);
			return value;
		},
		{ ...textLike('0|0?\\.\\d{1,9}|1(?:\\.0{1,9})?', 'number'), minimum: 0, maximum: 1 },
	);

/** Bytes. */
export const size = () =>
	textTo(
		(text) => {
			const [, amount, unit = 'B'] = SIZE.exec(text) ?? [];
			const value = Math.round(Number(amount) * (BYTES[unit] ?? Number.NaN));
			if (Number.isSafeInteger(value)) return value;
			throw new UsageError(`${quoted(text)} is not a size: write 64KiB, 256MiB or 1GB (a plain number is bytes)`);
		},
		textLike(SIZE.source.slice(1, -1), 'integer'),
		(value) => formatSize(Number(value)),
	);

function formatSize(bytes: number): string {
	const unit = BINARY.find((name) => bytes > 0 && bytes % (BYTES[name] ?? Number.NaN) === 0);
	return unit === undefined ? String(bytes) : `${bytes / (BYTES[unit] ?? 1)}${unit}`;
}

/** What a socket can listen on: a name or an IP address, IPv6 with or without brackets. */
export const host = () =>
	textTo((text) => {
		const bare = text.replace(/^\[(.*)\]$/, '$1');
		if (/^[\p{L}\p{N}._:%-]{1,253}$/u.test(bare)) return bare;
		throw new UsageError(`${quoted(text)} is not a host: write a name or an IP address, such as 0.0.0.0 or ::1`);
	});

/** What a certificate can be for: a DNS name or an IP address. */
export const serverName = () =>
	textTo((text) => {
		if (isIP(text) !== 0 || /^[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){0,20}$/.test(text)) return text;
		throw new UsageError(`${quoted(text)} is not a server name: write a DNS name or an IP address, without a port`);
	});

/** What operators call something. @param what `an agent id` */
export const label = (what: string) =>
	textTo((text) => {
		if (/^[A-Za-z0-9._-]{1,64}$/.test(text)) return text;
		throw new UsageError(`${quoted(text)} is not ${what}: write 1 to 64 of A-Z a-z 0-9 . _ -`);
	});

export const path = () =>
	textTo((text) => {
		if (text !== '' && !text.includes('\0')) return text;
		throw new UsageError('names no file or folder');
	});

/** A path, and a query if there is one, as a request to an upstream has it. */
export const urlPath = () =>
	textTo((text) => {
		if (/^\/[\x21-\x22\x24-\x7e]{0,2000}$/.test(text)) return text;
		throw new UsageError(`${quoted(text)} is not a path: write /health, for instance, without spaces and without #`);
	});

/** A secret that only this program reads. */
export const secret = () =>
	textTo((text) => {
		if (text === '') throw new UsageError('is empty');
		return text;
	});

/** A secret that others send in a header field, whose ends are trimmed on the way (RFC 9110 section 5.5). */
export const password = () =>
	textTo((text) => {
		if (text === '') throw new UsageError('is empty');
		if (/\p{Cc}/u.test(text)) throw new UsageError('holds a line break or another control character; write one line');
		if (text.trim() !== text) throw new UsageError('begins or ends with white space, which a header cannot carry');
		return text;
	});

/** A secret that this program sends as a bearer token. */
export const bearerToken = () =>
	textTo((text) => {
		if (/^[\x21-\x7e]+$/.test(text)) return text;
		throw new UsageError('is not a token: write one line without spaces, as it was printed');
	});

/** @throws UsageError for what is no origin as browsers write them (RFC 6454 section 6.2), nor `*` */
export function checkOrigin(text: string): void {
	if (text === '*' || (URL.canParse(text) && new URL(text).origin === text)) return;
	throw new UsageError(`${quoted(text)} is not an origin: write a scheme and a host, such as https://app.example.com`);
}

/** @throws UsageError for what is no name of a header or of a method (RFC 9110 section 5.6.2) */
export function checkName(text: string): void {
	if (/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text)) return;
	throw new UsageError(`${quoted(text)} is not a name: write letters, digits and hyphens, or * for any`);
}

/** The items of a list: as they stand in a file's list, between commas anywhere else. */
export function itemsOf(value: string | readonly string[]): readonly string[] {
	return typeof value === 'string' ? value.split(',').map((item) => item.trim()) : value;
}

/** What an Upgrade field may name; h2c would carry requests past the hub. */
export function checkUpgrade(text: string): void {
	if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:\/[!#$%&'*+.^_`|~0-9A-Za-z-]+)?$/.test(text)) {
		throw new UsageError(`${quoted(text)} is not the name of a protocol as Upgrade has it`);
	}
	if (/^h2c(?:-reverse)?$|^HTTP\/|^TLS\//i.test(text)) {
		throw new UsageError(`${quoted(text)} would carry requests past the hub: name another protocol`);
	}
}

/** Texts, which stay as they are written; one or more of them unless there may be none. */
export const listOf = <T extends string = string>(check: (text: string) => unknown, { mayBeEmpty = false } = {}) =>
	ofKind(
		z.union([z.string(), z.array(z.string())]).transform((value, context) => {
			const items = itemsOf(value);
			if (items.length === 0 && !mayBeEmpty) context.addIssue({ code: 'custom', message: 'the list is empty' });
			for (const [index, item] of items.entries()) {
				const fault = item === '' ? 'an item is empty' : attempt(check, item)[1];
				if (fault !== undefined) context.addIssue({ code: 'custom', path: [index], message: fault });
			}
			return items as readonly T[];
		}),
		listLike(mayBeEmpty ? 0 : 1),
		(value) => value as readonly string[],
	);

const LABEL_NAME = '^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$';
const MAX_LABELS = 16;
const MAX_LABEL = 64;
/** Of all labels, and of all scopes: they travel in one header field with the description of the machine. */
const MAX_LABELS_TEXT = 1024;
const MAX_SCOPES_TEXT = 768;

/** @throws UsageError for what is not `name=value` */
function checkLabel(text: string): void {
	const [, name = '', value = ''] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
	if (!new RegExp(LABEL_NAME).test(name)) {
		throw new UsageError(`${quoted(text)} is not a label: write name=value, the name of A-Z a-z 0-9 . _ / -`);
	}
	if (value.length > MAX_LABEL || /\p{Cc}/u.test(value)) {
		throw new UsageError(`${quoted(text)} is not a label: its value has at most ${MAX_LABEL} characters on one line`);
	}
}

/** Names with a value each. */
export const labels = () =>
	ofKind(
		listOf(checkLabel).transform((items, context) => {
			const pairs = items.map((item) => [item.slice(0, item.indexOf('=')), item.slice(item.indexOf('=') + 1)] as const);
			const found = Object.fromEntries(pairs);
			if (items.length > MAX_LABELS) {
				context.addIssue({ code: 'custom', message: `there are ${items.length} labels: write at most ${MAX_LABELS}` });
			}
			if (Buffer.byteLength(JSON.stringify(found)) > MAX_LABELS_TEXT) {
				context.addIssue({ code: 'custom', message: `the labels have more than ${MAX_LABELS_TEXT} bytes together` });
			}
			if (Object.keys(found).length < items.length) {
				context.addIssue({ code: 'custom', message: 'a label is given twice' });
			}
			return found;
		}),
		mapLike(LABEL_NAME, MAX_LABELS),
		(value) => Object.entries(value as Record<string, string>).map(([name, text]) => `${name}=${text}`),
		true,
	);

/** @throws UsageError for what no token can grant */
export function checkScope(text: string): void {
	if (/^[A-Za-z0-9._:-]{1,64}$/.test(text)) return;
	throw new UsageError(`${quoted(text)} is not a scope: write 1 to 64 of A-Z a-z 0-9 . _ : -`);
}

/** Scopes that an agent asks for. */
export const scopes = () => {
	const list = listOf(checkScope, { mayBeEmpty: true }).refine(
		(items) => JSON.stringify(items).length <= MAX_SCOPES_TEXT,
		{ message: `the scopes have more than ${MAX_SCOPES_TEXT} characters together` },
	);
	return ofKind(list, listLike(0), (value) => value as readonly string[]);
};

/** One or more of these. */
export const someOf = <const T extends string>(...choices: readonly T[]) => {
	const known: readonly string[] = choices;
	const check = (text: string) => {
		if (!known.includes(text)) throw new UsageError(`${quoted(text)} is not a choice: there are ${choices.join(', ')}`);
	};
	return ofKind(listOf<T>(check), listLike(1, choiceOf(choices)), (value) => value as readonly string[]);
};
