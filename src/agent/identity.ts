/** The id under which a hub knows an agent again: given, or made once and kept in the state folder. */
import { randomBytes, randomInt } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, UsageError } from '../shared/errors.ts';
import { stateDirectory } from '../shared/state-directory.ts';
import { isAgentId } from '../tunnel/handshake.ts';

export { stateDirectory };

export interface AgentIdSource {
	readonly agentID?: string | undefined;
	readonly stateDir?: string | undefined;
}

export type StoredAgentId =
	| { readonly id: string; readonly persistent: true }
	/** Another one will be made at the next start, for this reason. */
	| { readonly id: string; readonly persistent: false; readonly reason: string };

const FILE = 'agent-id';
const RANDOM_CHARACTERS = 16;

/** @throws UsageError if the id given, or the one kept, is no agent id */
export async function loadAgentId({ agentID, stateDir }: AgentIdSource, env = process.env): Promise<StoredAgentId> {
	if (agentID !== undefined) {
		if (isAgentId(agentID)) return { id: agentID, persistent: true };
		throw new UsageError(`agent id ${JSON.stringify(agentID)}: an id is 1 to 64 letters, digits, dots, _ or -`);
	}
	const dir = stateDirectory(stateDir, env);
	const file = join(dir, FILE);
	const id = randomId();
	try {
		const kept = await readId(file);
		if (kept !== undefined) return { id: kept, persistent: true };
		await mkdir(dir, { recursive: true, mode: 0o700 });
		if (await writeOnce(file, id)) return { id, persistent: true };
		return { id: (await readId(file)) ?? id, persistent: true };
	} catch (error) {
		if (error instanceof UsageError) throw error;
		return { id, persistent: false, reason: messageOf(error) };
	}
}

/** The ids of the second and later agents of one command. */
export function agentIdFor(base: string, index: number): string {
	if (index === 0) return base;
	const suffix = `-${index + 1}`;
	return base.slice(0, 64 - suffix.length) + suffix;
}

/** undefined if there is no such file */
async function readId(file: string): Promise<string | undefined> {
	let text: string;
	try {
		text = await readFile(file, 'utf8');
	} catch (error) {
		if (codeOf(error) === 'ENOENT') return undefined;
		throw error;
	}
	const id = text.trim();
	if (isAgentId(id)) return id;
	throw new UsageError(
		`${file}: holds no agent id; remove the file to have a new one made, or name one with --agentID`,
	);
}

/** Writes the file whole, unless there is one. @returns whether it is ours */
async function writeOnce(file: string, id: string): Promise<boolean> {
	const whole = `${file}.${randomBytes(6).toString('hex')}`;
	try {
		await writeFile(whole, `${id}\n`, { mode: 0o600, flag: 'wx' });
		// Unlike a rename it fails if another agent was first, and unlike opening with O_EXCL nobody can read half of it.
		await link(whole, file);
		return true;
	} catch (error) {
		if (codeOf(error) === 'EEXIST') return false;
		if (!NO_LINKS.has(codeOf(error))) throw error;
		return await writeExclusively(file, id);
	} finally {
		await rm(whole, { force: true });
	}
}

/** What file systems without hard links say, FAT and some that are mounted over a network. */
const NO_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

async function writeExclusively(file: string, id: string): Promise<boolean> {
	try {
		await writeFile(file, `${id}\n`, { mode: 0o600, flag: 'wx' });
		return true;
	} catch (error) {
		if (codeOf(error) === 'EEXIST') return false;
		throw error;
	}
}

function randomId(): string {
	return Array.from({ length: RANDOM_CHARACTERS }, () => randomInt(36).toString(36)).join('');
}

function codeOf(error: unknown): string {
	return error instanceof Error && 'code' in error ? String(error.code) : '';
}
