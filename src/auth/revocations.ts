/**
 * Tokens that are not valid any more. Owns the file in the state folder, which survives restarts and which several hubs may share:
 * revocations are only ever added, so whoever finds some missing in it puts them back. Knows nothing of connections.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageOf, UsageError } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { FileWatch } from '../tls/file-watch.ts';
import type { TokenClaims } from './tokens.ts';

/** One token by its id, or all tokens of a name that were issued until then. */
export type RevocationTarget = { readonly tokenId: string } | { readonly name: string };

/** `revokedAt` is RFC 3339, in UTC. */
export type Revocation = RevocationTarget & { readonly revokedAt: string };

export const REVOCATIONS_FILE = 'revocations.json';

const VERSION = 1;
const MOST = 10_000;
/** More than MOST of the longest names come to. */
const MAX_BYTES = 8 * 1024 * 1024;
const TOKEN_ID = /^[0-9a-f]{24}$/;
const NAME = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]{1,128}$/u;

/** @throws UsageError for what no token can be called */
export function checkTarget(target: RevocationTarget): void {
	if ('tokenId' in target) {
		if (TOKEN_ID.test(target.tokenId)) return;
		throw new UsageError("a token's id is 24 of 0-9 a-f, as the hub's log has it where an agent connected");
	}
	if (!NAME.test(target.name)) throw new UsageError('the name of a token is 1 to 128 printable characters');
}

export interface RevocationsOptions {
	/** The state folder, made when something is to be kept; undefined keeps nothing beyond this process. */
	readonly directory: string | undefined;
	/** Others have added to the file; what they added holds already. Must not throw. */
	readonly changed?: () => void;
	readonly logger: Logger;
}

export class Revocations {
	readonly #options: RevocationsOptions;
	readonly #file: string | undefined;
	#entries: ReadonlyMap<string, Revocation>;
	#watch: FileWatch | undefined;
	/** The last of the writes, which go one after the other. */
	#synced: Promise<void> = Promise.resolve();
	/** Why the file could not be read again, as it was logged. */
	#fault: string | undefined;

	/** @throws UsageError for a file that is damaged, the system's error for one that cannot be read */
	static async open(options: RevocationsOptions): Promise<Revocations> {
		const file = options.directory === undefined ? undefined : join(options.directory, REVOCATIONS_FILE);
		const revocations = new Revocations(options, file);
		if (file === undefined) return revocations;
		// It looks at the file before it is read: a change in between is seen.
		const watch = new FileWatch([file], () => void revocations.reread());
		try {
			revocations.#entries = await readEntries(file);
		} catch (error) {
			watch.close();
			throw error;
		}
		revocations.#watch = watch;
		return revocations;
	}

	private constructor(options: RevocationsOptions, file: string | undefined) {
		this.#options = options;
		this.#file = file;
		this.#entries = new Map();
	}

	/** Oldest first. */
	get list(): readonly Revocation[] {
		return [...this.#entries.values()].sort((a, b) => (a.revokedAt < b.revokedAt ? -1 : 1));
	}

	/** Whether a token is revoked. A name covers the tokens that were issued until it was revoked, and none after that. */
	covers({ tokenId, name, issuedAt }: Pick<TokenClaims, 'tokenId' | 'name' | 'issuedAt'>): boolean {
		if (this.#entries.size === 0) return false;
		if (this.#entries.has(keyOf({ tokenId }))) return true;
		const byName = this.#entries.get(keyOf({ name }));
		return byName !== undefined && issuedAt.getTime() <= Date.parse(byName.revokedAt);
	}

	/**
	 * Holds from now on in this process; `save` keeps it.
	 * @param now milliseconds since 1970
	 * @throws UsageError for what no token can be called, and when there are too many
	 */
	add(target: RevocationTarget, now = Date.now()): Revocation {
		checkTarget(target);
		const key = keyOf(target);
		const known = this.#entries.get(key);
		if (known === undefined && this.#entries.size >= MOST) {
			const advice = 'change the secret, which ends all tokens, and remove the file';
			throw new UsageError(`there are ${MOST} revocations already in ${this.#file ?? 'memory'}: ${advice}`);
		}
		const revokedAt = new Date(now).toISOString();
		const revocation = 'tokenId' in target ? { tokenId: target.tokenId, revokedAt } : { name: target.name, revokedAt };
		const added = known === undefined ? revocation : later(known, revocation);
		this.#entries = new Map(this.#entries).set(key, added);
		return added;
	}

	/**
	 * Resolves when the file holds all that was added, on the disk.
	 * @throws UsageError for a file that is damaged, which is left as it is; the system's error when it cannot be written
	 */
	save(): Promise<void> {
		const file = this.#file;
		if (file === undefined) return Promise.resolve();
		const synced = this.#synced.then(() => this.#sync(file));
		this.#synced = synced.catch(() => undefined); // told to whoever asked for it
		return synced;
	}

	/** Takes over what others have added to the file. What cannot be read takes nothing back, and is logged. */
	async reread(): Promise<void> {
		try {
			await this.save();
			this.#fault = undefined;
		} catch (error) {
			const fault = messageOf(error);
			if (fault !== this.#fault) {
				this.#options.logger.error({ reason: fault }, 'the revocations were not read again: those from before hold');
			}
			this.#fault = fault;
		}
	}

	/** Looks at the file no more. */
	close(): void {
		this.#watch?.close();
	}

	async #sync(file: string): Promise<void> {
		const kept = await readEntries(file);
		const before = this.#entries;
		const all = union(before, kept);
		if (!same(before, all)) {
			this.#entries = all;
			this.#options.changed?.();
		}
		if (!same(kept, all)) await writeEntries(file, all);
	}
}

function keyOf(target: RevocationTarget): string {
	return 'tokenId' in target ? `id ${target.tokenId}` : `name ${target.name}`;
}

/** An id is revoked once; a name once more, for the tokens that it got since. */
function later(a: Revocation, b: Revocation): Revocation {
	return 'tokenId' in a || a.revokedAt >= b.revokedAt ? a : b;
}

function union(
	a: ReadonlyMap<string, Revocation>,
	b: ReadonlyMap<string, Revocation>,
): ReadonlyMap<string, Revocation> {
	const all = new Map(a);
	for (const [key, entry] of b) {
		const known = all.get(key);
		all.set(key, known === undefined ? entry : later(known, entry));
	}
	return all;
}

function same(a: ReadonlyMap<string, Revocation>, b: ReadonlyMap<string, Revocation>): boolean {
	if (a.size !== b.size) return false;
	for (const [key, entry] of a) {
		const other = b.get(key);
		if (other === undefined || (!('tokenId' in entry) && other.revokedAt !== entry.revokedAt)) return false;
	}
	return true;
}

async function readEntries(file: string): Promise<ReadonlyMap<string, Revocation>> {
	let text: string;
	try {
		if ((await stat(file)).size > MAX_BYTES) throw damaged(file, `it is larger than ${MAX_BYTES / 1024 / 1024} MiB`);
		text = await readFile(file, 'utf8');
	} catch (error) {
		if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return new Map();
		throw error;
	}
	let content: unknown;
	try {
		content = JSON.parse(text);
	} catch (cause) {
		throw damaged(file, 'it is not JSON', cause);
	}
	if (!isRecord(content) || !Array.isArray(content.revocations)) throw damaged(file, 'it holds no list of revocations');
	if (content.version !== VERSION) {
		throw new UsageError(`${file}: its version is not ${VERSION}: another version of this program wrote it`);
	}
	if (content.revocations.length > MOST) throw damaged(file, `it holds more than ${MOST} revocations`);
	const entries = new Map<string, Revocation>();
	for (const [index, value] of content.revocations.entries()) {
		const entry = readEntry(value);
		if (entry === undefined) throw damaged(file, `its entry ${index + 1} is no revocation`);
		entries.set(keyOf(entry), entry);
	}
	return entries;
}

function readEntry(value: unknown): Revocation | undefined {
	if (!isRecord(value)) return undefined;
	const { tokenId, name, revokedAt } = value;
	if (typeof revokedAt !== 'string' || Number.isNaN(Date.parse(revokedAt))) return undefined;
	const at = new Date(revokedAt).toISOString();
	if (typeof tokenId === 'string' && name === undefined && TOKEN_ID.test(tokenId)) return { tokenId, revokedAt: at };
	if (typeof name === 'string' && tokenId === undefined && NAME.test(name)) return { name, revokedAt: at };
	return undefined;
}

/** The file is the old one or the new one whole, whenever the process or the machine stops. */
async function writeEntries(file: string, entries: ReadonlyMap<string, Revocation>): Promise<void> {
	const lines = [...entries.values()].map((entry) => `\t${JSON.stringify(entry)}`);
	const directory = dirname(file);
	await mkdir(directory, { recursive: true, mode: 0o700 });
	const whole = `${file}.${randomBytes(6).toString('hex')}.tmp`;
	try {
		const handle = await open(whole, 'wx', 0o600);
		try {
			await handle.writeFile(`{"version":${VERSION},"revocations":[\n${lines.join(',\n')}\n]}\n`);
			await handle.sync();
		} finally {
			await handle.close();
		}
		await rename(whole, file);
	} catch (error) {
		await rm(whole, { force: true });
		throw error;
	}
	// Windows opens no folders, and needs no such thing.
	if (process.platform === 'win32') return;
	const handle = await open(directory, 'r');
	try {
		await handle.sync();
	} finally {
		await handle.close();
	}
}

function damaged(file: string, fault: string, cause?: unknown): UsageError {
	const advice = 'put a copy of it back, or move it away if its tokens may come in again';
	return new UsageError(`${file}: the revocations are damaged, ${fault}: ${advice}`, { cause });
}

function isRecord(value: unknown): value is Record<string, unknown> {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}
