/**
 * A process that tells systemd that it lives; for every line on stdin its event loop hangs for so many milliseconds. It says on the same
 * socket when that begins and ends.
 */
import { spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Notifier } from '../../src/cli/notify.ts';
import { createLogger } from '../../src/shared/logger.ts';

const { NOTIFY_SOCKET, PATH } = process.env;
const logger = createLogger('info', { write: (line) => void process.stderr.write(line) });
const notifier = Notifier.from({ env: process.env, pid: process.pid, logger });
notifier?.ready(() => 'fine');

function mark(text: string): void {
	spawnSync('systemd-notify', [`STATUS=${text}`], { env: { NOTIFY_SOCKET, PATH } });
}

createInterface({ input: process.stdin }).on('line', (milliseconds) => {
	mark('hangs');
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(milliseconds));
	mark('goes on');
});
