/** nginx and HAProxy as processes of a test: each with a configuration of its own, in a folder of its own. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { findProgram, startDaemon } from './peer-process.ts';
import { closedPort } from './ports.ts';

const TEMP_PATHS = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

/** What stands in a configuration: it is to listen on `port`, of 127.0.0.1, and may keep files in `folder`. */
export type Configure = (port: number, folder: string) => string;

/** @param http what stands in the http block @returns its port */
export function nginx(context: TestContext, http: Configure): Promise<number> {
	return runNginx(
		context,
		(port, folder) => `http {
	access_log off;
	${TEMP_PATHS.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n\t')}
	${http(port, folder)}
}`,
	);
}

/** One that passes bytes on. @param stream what stands in the stream block @returns its port */
export function nginxStream(context: TestContext, stream: Configure): Promise<number> {
	return runNginx(
		context,
		(port, folder) => `stream {
	${stream(port, folder)}
}`,
		'load_module /usr/lib/nginx/modules/ngx_stream_module.so;',
	);
}

async function runNginx(context: TestContext, configure: Configure, modules = ''): Promise<number> {
	const program = findProgram('nginx', 'nginx-light');
	return run(context, configure, async (port, folder, config) => {
		const file = join(folder, 'nginx.conf');
		const own = `${modules}
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
`;
		await writeFile(file, own + config);
		await startDaemon(context, program, ['-p', folder, '-e', 'stderr', '-c', file], port);
	});
}

/**
 * @param mode whether it reads HTTP, or passes bytes on
 * @param configure what stands behind the defaults
 * @returns its port
 */
export async function haproxy(context: TestContext, mode: 'http' | 'tcp', configure: Configure): Promise<number> {
	const program = findProgram('haproxy', 'haproxy');
	const defaults = `
defaults
	mode ${mode}
	${mode === 'http' ? 'option abortonclose' : ''}
	timeout connect 5s
	timeout client 1h
	timeout server 1h
	timeout tunnel 1h
`;
	return run(context, configure, async (port, folder, config) => {
		const file = join(folder, 'haproxy.cfg');
		await writeFile(file, defaults + config);
		await startDaemon(context, program, ['-db', '-f', file], port);
	});
}

async function run(
	context: TestContext,
	configure: Configure,
	start: (port: number, folder: string, config: string) => Promise<void>,
): Promise<number> {
	const folder = await mkdtemp(join(tmpdir(), 'slime-proxy-'));
	context.after(() => rm(folder, { recursive: true, force: true }));
	const port = await closedPort();
	await start(port, folder, configure(port, folder));
	return port;
}
