/** `slime certs`: a development CA, and certificates for a hub and for an agent, as files in a folder. */
import { X509Certificate } from 'node:crypto';
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { ConfigError } from '../config/mistakes.ts';
import { messageOf, UsageError } from '../shared/errors.ts';
import type { KeyPair, LeafPurpose } from '../tls/dev-ca.ts';
import type { Call, Command } from './command.ts';

const STANDARD = { out: 'certs', hosts: 'localhost,127.0.0.1,::1', client: 'agent' };

export const CERTS: Command = {
	name: 'certs',
	summary: 'Make a CA for development, and certificates for a hub and an agent',
	flags: [
		{ name: 'out', value: 'FOLDER', help: `Where the files are put (default: ${STANDARD.out})` },
		{
			name: 'hosts',
			value: 'A,B',
			list: true,
			help: `Names and addresses of the hub (default: ${STANDARD.hosts})`,
		},
		{ name: 'client', value: 'NAME', help: `Name of the agent's token (default: ${STANDARD.client})` },
		{ name: 'force', help: 'Replace the certificates that are there, but for the CA (default: false)' },
	],
	run,
};

interface Leaf {
	/** File name without its ending. */
	readonly name: string;
	readonly purpose: LeafPurpose;
}

async function run({ flags }: Call): Promise<number> {
	const folder = flags.get('out') ?? STANDARD.out;
	const hosts = hostsOf(flags.get('hosts') ?? STANDARD.hosts);
	const client = clientName(flags.get('client') ?? STANDARD.client);
	const force = flags.get('force') === 'true';
	const server: Leaf = { name: 'hub', purpose: { kind: 'server', hosts } };
	const agent: Leaf = { name: client, purpose: { kind: 'client', name: client } };
	const path = (name: string) => join(folder, name);

	// Another agent, with a hub that has its certificate: nothing is asked for the hub.
	const onlyAgent = !force && flags.has('client') && !flags.has('hosts') && (await exists(path('hub.crt')));
	const leaves = onlyAgent ? [agent] : [server, agent];
	const present = [];
	for (const { name } of leaves) if (!force && (await exists(path(`${name}.key`)))) present.push(path(`${name}.key`));
	if (present.length > 0) {
		const remedy = '--force replaces what is there, --client NAME adds another agent';
		throw new UsageError(`${present.join(' and ')}: there already, so nothing was changed: ${remedy}`);
	}

	await mkdir(folder, { recursive: true, mode: 0o700 });
	const written: string[] = [];
	const write = async (name: string, pair: KeyPair) => {
		await replace(path(`${name}.key`), pair.key, 0o600);
		await replace(path(`${name}.crt`), pair.cert, 0o644);
		written.push(path(`${name}.crt`), path(`${name}.key`));
	};
	const { issue } = await import('../tls/dev-ca.ts');
	const kept = await readAuthority(path('ca.crt'), path('ca.key'));
	const authority = kept ?? (await newAuthority(write));
	const pairs = [];
	for (const leaf of leaves) {
		pairs.push({ leaf, pair: await issue(authority, leaf.purpose).catch((error) => raise(path('ca.crt'), error)) });
	}
	for (const { leaf, pair } of pairs) await write(leaf.name, pair);
	const { pinOf } = await import('../tls/pins.ts');
	const { identitiesOf } = await import('../tls/peer-certificate.ts');
	const certificate = new X509Certificate(await readFile(path('hub.crt')));
	const [host = 'localhost'] = identitiesOf(certificate);
	const lines = [
		...(kept ? [`kept    ${path('ca.crt')}, ${path('ca.key')}`] : []),
		...written.map((file) => `written ${file}`),
		...usage({ path, host, client, pin: pinOf(certificate) }),
	];
	process.stdout.write(`${lines.join('\n')}\n`);
	return 0;
}

interface Usage {
	path(name: string): string;
	readonly host: string;
	readonly client: string;
	readonly pin: string;
}

function usage({ path, host, client, pin }: Usage): string[] {
	const url = `https://${isIP(host) === 6 ? `[${host}]` : host.replace(/^\*/, 'hub')}:8443`;
	return [
		'',
		'A hub that lets in agents with such a certificate and a token of the same name:',
		'',
		'  (umask 077 && openssl rand -hex 32 > secret)',
		`  slime hub run --secretFile secret --port 8443 --tlsCert ${path('hub.crt')} --tlsKey ${path('hub.key')} \\`,
		`    --clientCa ${path('ca.crt')} --bindIdentity`,
		`  (umask 077 && slime hub register --secretFile secret --name ${client} > token)`,
		'',
		'An agent:',
		'',
		`  slime agent run --tokenFile token --hub ${url} --upstream 127.0.0.1:8000 \\`,
		`    --ca ${path('ca.crt')} --tlsCert ${path(`${client}.crt`)} --tlsKey ${path(`${client}.key`)}`,
		'',
		'An application:',
		'',
		`  curl --cacert ${path('ca.crt')} ${url}/`,
		'',
		`The pin of the hub's key, for --pin: ${pin}`,
	];
}

/** @returns undefined when there is none yet */
async function readAuthority(cert: string, key: string): Promise<KeyPair | undefined> {
	const [hasCert, hasKey] = [await exists(cert), await exists(key)];
	if (!hasCert && !hasKey) return undefined;
	if (!hasCert || !hasKey) {
		const [there, missing] = hasCert ? [cert, key] : [key, cert];
		throw new UsageError(
			`${there} is there without ${missing}: put that beside it, or choose another folder with --out`,
		);
	}
	return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
}

async function newAuthority(write: (name: string, pair: KeyPair) => Promise<void>): Promise<KeyPair> {
	const { makeAuthority } = await import('../tls/dev-ca.ts');
	const authority = await makeAuthority();
	await write('ca', authority);
	return authority;
}

function raise(file: string, error: unknown): never {
	if (error instanceof UsageError) throw new UsageError(`${file}: ${messageOf(error)}`, { cause: error });
	throw error;
}

/** Whoever reads the file sees the one before or this one, whole. */
async function replace(file: string, text: string, mode: number): Promise<void> {
	const draft = `${file}.${process.pid}.new`;
	try {
		await writeFile(draft, text, { mode, flag: 'wx' });
		await rename(draft, file);
	} catch (error) {
		await rm(draft, { force: true });
		throw error;
	}
}

async function exists(file: string): Promise<boolean> {
	return access(file).then(
		() => true,
		() => false,
	);
}

const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
const DNS_NAME = new RegExp(`^(?:\\*\\.)?${LABEL}(?:\\.${LABEL})*$`);

function hostsOf(text: string): string[] {
	const hosts = text.split(',').map((item) => item.trim());
	for (const host of hosts) {
		if (isIP(host) === 0 && !(host.length <= 253 && DNS_NAME.test(host))) {
			const shown = JSON.stringify(host.slice(0, 100));
			throw new ConfigError([`--hosts: ${shown} is neither a DNS name nor an IP address: write localhost,10.0.0.1`]);
		}
	}
	return hosts;
}

function clientName(text: string): string {
	const shown = JSON.stringify(text.slice(0, 100));
	if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) {
		throw new ConfigError([`--client: ${shown} is not a name: write 1 to 64 of A-Z a-z 0-9 . _ -`]);
	}
	if (['ca', 'hub'].includes(text.toLowerCase())) {
		throw new ConfigError([`--client: ${shown} is the name of another file here: choose another name`]);
	}
	return text;
}
