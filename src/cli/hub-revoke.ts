/** `slime hub revoke`: tells the running hub which token it must not let in any more, or writes that where the next one reads it. */
import type { HubAdminSettings } from '../config/load.ts';
import { ConfigError } from '../config/mistakes.ts';
import { UsageError } from '../shared/errors.ts';
import { ADMIN_FLAGS, askHub, field, NoHubError } from './admin-client.ts';
import { type Call, CONFIG_FLAG, type Command } from './command.ts';
import { writeTable } from './table.ts';

type Target = { readonly tokenId: string } | { readonly name: string };

export const HUB_REVOKE: Command = {
	name: 'hub revoke',
	summary: 'End a token: its agents are cut off, and not let in again',
	flags: [
		CONFIG_FLAG,
		{ name: 'name', value: 'NAME', help: 'Name of the tokens: all that were issued until now' },
		{ name: 'tokenId', value: 'ID', help: 'Id of one token, as the log of the hub has it' },
		{ name: 'list', help: 'Print what is revoked (default: false)' },
		...ADMIN_FLAGS,
		{
			name: 'stateDir',
			value: 'FOLDER',
			key: 'hub.stateDir',
			help: 'Where it is written if no hub is running',
		},
	],
	run,
};

async function run({ flags, sources }: Call): Promise<number> {
	const list = flags.get('list') === 'true';
	const target = targetOf(flags, list);
	const { checkTarget } = await import('../auth/revocations.ts');
	if (target) checked(target, checkTarget);
	const { loadHubAdmin } = await import('../config/load.ts');
	const settings = await loadHubAdmin(sources);
	if (target === undefined) return printList(settings);
	const said = 'tokenId' in target ? `the token ${target.tokenId}` : `the tokens named ${target.name}`;
	try {
		const answer = await askHub(settings, '/api/revoke', target);
		const tunnels = field(answer, 'tunnels');
		if (typeof tunnels !== 'number') throw new Error('the hub did not confirm it: is it of another version?');
		process.stdout.write(`revoked ${said}; ${tunnels === 1 ? '1 tunnel' : `${tunnels} tunnels`} closed\n`);
	} catch (error) {
		if (!(error instanceof NoHubError)) throw error;
		if (settings.stateDir === undefined) {
			throw new Error(`${error.message}; without a running hub give its --stateDir`, { cause: error });
		}
		await write(settings.stateDir, target);
		process.stdout.write(`revoked ${said} in ${settings.stateDir}; no hub was running\n`);
	}
	return 0;
}

/** @returns undefined when the list is asked for */
function targetOf(flags: ReadonlyMap<string, string>, list: boolean): Target | undefined {
	const [name, tokenId] = [flags.get('name'), flags.get('tokenId')];
	const given = [name, tokenId].filter((value) => value !== undefined).length + (list ? 1 : 0);
	if (given !== 1) throw new UsageError('give one of --name, --tokenId and --list; see slime hub revoke --help');
	if (name !== undefined) return { name };
	return tokenId === undefined ? undefined : { tokenId };
}

function checked(target: Target, check: (target: Target) => void): void {
	try {
		check(target);
	} catch (error) {
		if (!(error instanceof UsageError)) throw error;
		throw new ConfigError([`${'tokenId' in target ? '--tokenId' : '--name'}: ${error.message}`]);
	}
}

async function printList(settings: HubAdminSettings): Promise<number> {
	const entries = await revocations(settings);
	if (entries.length === 0) process.stderr.write('nothing is revoked\n');
	else {
		const rows = entries.map((entry) =>
			['revokedAt', 'tokenId', 'name'].map((key) => String(field(entry, key) ?? '-')),
		);
		writeTable(process.stdout, ['REVOKED AT', 'TOKEN ID', 'NAME'], rows);
	}
	return 0;
}

/** The hub's, else those of the folder in which a hub would find them. */
async function revocations(settings: HubAdminSettings): Promise<readonly unknown[]> {
	try {
		const list = field(await askHub(settings, '/api/revocations'), 'revocations');
		if (Array.isArray(list)) return list;
		throw new Error('the hub did not answer with a list: is it of another version?');
	} catch (error) {
		if (!(error instanceof NoHubError) || settings.stateDir === undefined) throw error;
		const kept = await open(settings.stateDir);
		kept.close();
		return kept.list;
	}
}

async function write(stateDir: string, target: Target): Promise<void> {
	const kept = await open(stateDir);
	try {
		kept.add(target);
		await kept.save();
	} finally {
		kept.close();
	}
}

async function open(directory: string) {
	const { Revocations } = await import('../auth/revocations.ts');
	const { silentLogger: logger } = await import('../shared/logger.ts');
	return Revocations.open({ directory, logger });
}
