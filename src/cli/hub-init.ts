/** `slime hub init`: what a new hub needs, as files in a folder, and what to type next. Replaces nothing. */
import { randomBytes } from 'node:crypto';
import { lstat, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '../shared/errors.ts';
import type { Call, Command } from './command.ts';
import { HUB_TEMPLATE, INIT_FILES } from './hub-template.ts';

const SECRET_BYTES = 32;

/** With it editors complete the keys, by the schema of this installation. */
const SCHEMA_LINE = `# yaml-language-server: $schema=${new URL('../../config.schema.json', import.meta.url)}\n`;

export const HUB_INIT: Command = {
	name: 'hub init',
	summary: 'Write a configuration, a secret, an app password and a first token',
	flags: [{ name: 'dir', value: 'FOLDER', help: 'Where the files are put (default: this folder)' }],
	run,
};

async function run({ flags }: Call): Promise<number> {
	const folder = flags.get('dir') ?? '.';
	const path = (name: string) => join(folder, name);
	const names = [INIT_FILES.secret, INIT_FILES.appPassword, INIT_FILES.token, INIT_FILES.config];
	const present = [];
	for (const name of names) if (await exists(path(name))) present.push(path(name));
	if (present.length > 0) {
		const remedy = 'give another folder with --dir, or move away what is there';
		throw new UsageError(`${present.join(' and ')}: there already, so nothing was written: ${remedy}`);
	}

	const { createTokens } = await import('../auth/tokens.ts');
	const { randomName } = await import('./random-name.ts');
	const [secret, appPassword, name] = [randomSecret(), randomSecret(), randomName()];
	const token = await (await createTokens({ secret })).issue({ name });
	await mkdir(folder, { recursive: true, mode: 0o700 });
	await writeAll([
		[path(INIT_FILES.secret), `${secret}\n`],
		[path(INIT_FILES.appPassword), `${appPassword}\n`],
		[path(INIT_FILES.token), `${token}\n`],
		[path(INIT_FILES.config), `${SCHEMA_LINE}${HUB_TEMPLATE}`],
	]);
	process.stdout.write(instructions(path, name));
	return 0;
}

function instructions(path: (name: string) => string, name: string): string {
	const [config, token, password] = [INIT_FILES.config, INIT_FILES.token, INIT_FILES.appPassword].map((file) =>
		shellWord(path(file)),
	);
	return `written ${path(INIT_FILES.config)}
written ${path(INIT_FILES.secret)}, ${path(INIT_FILES.appPassword)}, ${path(INIT_FILES.token)}: for you alone to read

Start the hub:

  slime hub run --config ${config}

Start an agent beside a service at port 8000. On another machine: copy the token there, write the hub's name for 127.0.0.1.

  slime agent run --tokenFile ${token} --hub 127.0.0.1:8080 --upstream 127.0.0.1:8000

Ask as an application:

  curl -i http://127.0.0.1:8080/v1/models -H "Authorization: Bearer $(cat ${password})"

The token is named ${name}. For one more agent: slime hub register --config ${config} --name NAME
`;
}

/** As a POSIX shell reads it. */
function shellWord(text: string): string {
	const word = text.startsWith('-') ? `./${text}` : text;
	return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function randomSecret(): string {
	return randomBytes(SECRET_BYTES).toString('base64url');
}

/** All of them or none, for their owner alone; never over a file that came meanwhile. */
async function writeAll(files: ReadonlyArray<readonly [path: string, content: string]>): Promise<void> {
	const written: string[] = [];
	try {
		for (const [path, content] of files) {
			await writeFile(path, content, { mode: 0o600, flag: 'wx' });
			written.push(path);
		}
	} catch (error) {
		for (const path of written) await rm(path, { force: true });
		throw error;
	}
}

/** Also of a link that leads nowhere: it would be written through. */
async function exists(path: string): Promise<boolean> {
	try {
		await lstat(path);
		return true;
	} catch (error) {
		if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
		throw error;
	}
}
