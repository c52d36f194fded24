/** Loads configurations in tests: YAML, variables and flags go in, settings or lines of mistakes come out. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { parseUpstream } from '../../src/agent/upstream.ts';
import { type AgentSettings, type HubSettings, type Loaded, loadAgents, loadHub } from '../../src/config/load.ts';
import { ConfigError } from '../../src/config/mistakes.ts';
import type { Sources } from '../../src/config/sources.ts';

export interface Written {
	readonly yaml?: string | Buffer;
	readonly env?: Readonly<Record<string, string>>;
	/** By key: `'hub.port': '80'` is --port 80. */
	readonly flags?: Readonly<Record<string, string>>;
	/** Further files in the configuration's folder. */
	readonly files?: Readonly<Record<string, string | Buffer>>;
}

export interface Folder {
	readonly path: string;
	sources(written: Written): Promise<Sources>;
	hub(written: Written): Promise<Loaded<HubSettings>>;
	/** The only agent, or the first of several. */
	agent(written: Written): Promise<Loaded<AgentSettings>>;
	agents(written: Written): Promise<Loaded<readonly AgentSettings[]>>;
	/** Its mistakes, with the folder's name taken out. */
	mistakes(loading: Promise<unknown>): Promise<readonly string[]>;
}

/** A folder of its own for one test; `slime.yaml` in it is the configuration. */
export async function folder(t: TestContext): Promise<Folder> {
	const path = await mkdtemp(join(tmpdir(), 'slime-config-'));
	t.after(() => rm(path, { recursive: true, force: true }));
	const sources = async ({ yaml, env = {}, flags = {}, files = {} }: Written): Promise<Sources> => {
		const all = yaml === undefined ? files : { ...files, 'slime.yaml': yaml };
		for (const [name, content] of Object.entries(all)) await writeFile(join(path, name), content);
		return {
			flags: new Map(Object.entries(flags).map(([key, value]) => [key, { flag: `--${key.split('.').at(-1)}`, value }])),
			env: { HOME: path, ...env },
			configFile: yaml === undefined ? undefined : join(path, 'slime.yaml'),
		};
	};
	return {
		path,
		sources,
		hub: async (written) => loadHub(await sources(written)),
		agent: async (written) => {
			const { settings, ...loaded } = await loadAgents(await sources(written), parseUpstream);
			const [first] = settings;
			if (first === undefined) throw new Error('there is no agent');
			return { ...loaded, settings: first };
		},
		agents: async (written) => loadAgents(await sources(written), parseUpstream),
		mistakes: async (loading) => {
			try {
				await loading;
				return [];
			} catch (error) {
				if (error instanceof ConfigError) return error.mistakes.map((line) => line.replaceAll(`${path}/`, ''));
				throw error;
			}
		},
	};
}
