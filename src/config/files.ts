/** Reads the small files that a configuration consists of or names. Knows nothing of what is in them. */
import { createReadStream, statSync } from 'node:fs';
import { access, constants, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { UsageError } from '../shared/errors.ts';

const REASONS: ReadonlyMap<unknown, string> = new Map([
	['ENOENT', 'there is no such file'],
	['ENOTDIR', 'there is no such file'],
	['EACCES', 'permission denied'],
	['EPERM', 'permission denied'],
	['EISDIR', 'it is a folder'],
]);

/**
 * Reads once and in order, so that pipes work too (`--secretFile <(command)`).
 * @throws UsageError that says why not
 */
export async function readText(path: string, maxBytes: number): Promise<string> {
	const chunks: Buffer[] = [];
	try {
		for await (const chunk of createReadStream(path, { end: maxBytes })) chunks.push(chunk);
	} catch (error) {
		throw unreadable(path, error);
	}
	const bytes = Buffer.concat(chunks);
	if (bytes.length > maxBytes) throw new UsageError(`cannot read ${path}: it is larger than ${maxBytes / 1024} KiB`);
	try {
		return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
	} catch (cause) {
		throw new UsageError(`cannot read ${path}: it is not UTF-8 text`, { cause });
	}
}

/** @throws UsageError that says why it cannot be read */
export async function checkReadable(path: string): Promise<void> {
	try {
		await access(path, constants.R_OK);
		if ((await stat(path)).isDirectory()) throw Object.assign(new Error('a folder'), { code: 'EISDIR' });
	} catch (error) {
		throw unreadable(path, error);
	}
}

/** Whether it can be read more than once, which a pipe cannot. */
export function isRegular(path: string): boolean {
	return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** What users of this machine may do who are neither the file's owner nor of its group, as far as folders let them come to it. */
export async function openToOthers(path: string): Promise<'read' | 'change' | undefined> {
	// Windows has no such bits; Node makes some up.
	if (process.platform === 'win32') return undefined;
	try {
		const real = await realpath(path);
		const file = await stat(real);
		if (!file.isFile() || (file.mode & 0o006) === 0) return undefined;
		for (let folder = dirname(real); ; folder = dirname(folder)) {
			if (((await stat(folder)).mode & 0o001) === 0) return undefined;
			if (folder === dirname(folder)) break;
		}
		return (file.mode & 0o002) === 0 ? 'read' : 'change';
	} catch (error) {
		// Whoever reads the file says what is wrong with it.
		if (codeOf(error) !== undefined) return undefined;
		throw error;
	}
}

export function isMissing(error: unknown): boolean {
	return error instanceof Error && codeOf(error.cause) === 'ENOENT';
}

function unreadable(path: string, cause: unknown): UsageError {
	const code = codeOf(cause);
	return new UsageError(`cannot read ${path}: ${REASONS.get(code) ?? String(code ?? cause)}`, { cause });
}

function codeOf(error: unknown): unknown {
	return error instanceof Error && 'code' in error ? error.code : undefined;
}
