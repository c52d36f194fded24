/** Puts flags, environment and file over each other: one entry a key, the highest source's. Does not know what values mean. */
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { UsageError } from '../shared/errors.ts';
import { CONFIG_VARIABLE, readEnvironment } from './environment.ts';
import { isMissing, readText } from './files.ts';
import { fileForm, isSecret, secretOf } from './keys.ts';
import type { Entry, Mistakes, Origin } from './mistakes.ts';
import { readYaml, type YamlFile } from './yaml-file.ts';

/** One flag as it was given: `--port`, `8080`. */
export interface FlagValue {
	readonly flag: string;
	readonly value: string;
}

export interface Sources {
	/** By key (`hub.port`). */
	readonly flags: ReadonlyMap<string, FlagValue>;
	readonly env: NodeJS.ProcessEnv;
	/** What --config says. */
	readonly configFile?: string | undefined;
}

export interface Gathered {
	readonly entries: Map<string, Entry>;
	readonly warnings: readonly string[];
	/** Undefined without one. */
	readonly file: string | undefined;
	/** Lists of sections in the file, and how many each has. */
	readonly lists: Map<string, number>;
	/** What paths in the file are relative to. */
	readonly directory: string;
	/** Where a mistake about something missing from a section is shown; undefined without a file. */
	sectionOrigin(name: string): Origin | undefined;
}

const MAX_FILE_BYTES = 1024 * 1024;

/**
 * @param section `hub` or `agent`: which variables matter
 * @throws ConfigError if the file cannot be read, for then nothing more can be said; other mistakes are added
 */
export async function gather(section: string, sources: Sources, mistakes: Mistakes): Promise<Gathered> {
	const flags = new Map<string, Entry>();
	for (const [key, { flag, value }] of sources.flags) {
		flags.set(key, { value, origin: { source: 'flag', where: flag, offset: 0 } });
	}
	const file = await readFile(sources, mistakes);
	const environment = readEnvironment(sources.env, section, mistakes, file?.yaml.variables);
	const layers = [file?.yaml.entries ?? new Map<string, Entry>(), environment.entries, flags];
	return {
		entries: merge(layers, mistakes),
		warnings: environment.warnings,
		file: file?.path,
		lists: new Map(file?.yaml.lists),
		directory: file ? dirname(file.path) : '.',
		sectionOrigin: (name) => file?.yaml.sectionOrigin(name),
	};
}

/** @param layers lowest first */
function merge(layers: readonly ReadonlyMap<string, Entry>[], mistakes: Mistakes): Map<string, Entry> {
	const merged = new Map<string, Entry>();
	for (const layer of layers) {
		for (const [key, entry] of layer) {
			const twin = twinOf(key);
			const other = twin === undefined ? undefined : layer.get(twin);
			// Either form of a secret takes the place of both forms in the sources below.
			if (twin !== undefined && !other) merged.delete(twin);
			if (other && isSecret(key)) {
				mistakes.add(entry.origin, key, `${other.origin.where} says it as well; keep one`);
			}
			merged.set(key, entry);
		}
	}
	return merged;
}

/** The other form of a secret: of the secret its file's key, and the other way round. */
export function twinOf(key: string): string | undefined {
	return isSecret(key) ? fileForm(key) : secretOf(key);
}

interface ConfigFile {
	readonly path: string;
	readonly yaml: YamlFile;
}

async function readFile(sources: Sources, mistakes: Mistakes): Promise<ConfigFile | undefined> {
	const { path, namedBy } = filePath(sources);
	const text = await readText(path, MAX_FILE_BYTES).catch((error: unknown) => {
		if (!namedBy && isMissing(error)) return undefined;
		if (!(error instanceof UsageError)) throw error;
		mistakes.add(namedBy, undefined, error.message);
		mistakes.raise();
	});
	if (text === undefined) return undefined;
	const yaml = readYaml(text, path, mistakes, sources.env);
	if (yaml.broken) mistakes.raise();
	return { path, yaml };
}

/** @returns `namedBy` is undefined for the one that may be missing */
function filePath({ configFile, env }: Sources): { path: string; namedBy?: Origin } {
	if (configFile !== undefined) {
		return { path: configFile, namedBy: { source: 'flag', where: '--config', offset: 0 } };
	}
	const variable = env[CONFIG_VARIABLE];
	if (variable) return { path: variable, namedBy: { source: 'variable', where: CONFIG_VARIABLE, offset: 0 } };
	return { path: join(env.HOME || homedir(), '.slime.yaml') };
}
