/**
 * An app that asks every 25 ms for what no agent serves, on connections of its own that it opened before the others came, and says over
 * IPC how long refusals took; and how late this machine wakes a process that has nothing else to do, by which the former are to be judged.
 * Usage: PORT.
 */
import { Agent, request } from 'node:http';

export interface Probed {
	/** Milliseconds, sorted. */
	readonly refused: readonly number[];
	readonly late: readonly number[];
}

const EVERY = 25;
const port = Number(process.argv[2]);
const agent = new Agent({ keepAlive: true, maxSockets: 4 });
const refused: number[] = [];
const late: number[] = [];

function ask(): Promise<string | undefined> {
	return new Promise((resolve) => {
		const req = request({ host: '127.0.0.1', port, agent, headers: { 'slime-scope': 'nobody' } }, (res) => {
			res.resume().once('close', () => resolve(res.headers['slime-error'] as string | undefined));
		});
		req.on('error', () => resolve('unreachable')).end();
	});
}

async function probe(): Promise<void> {
	const began = performance.now();
	const code = await ask();
	if (code === 'no_agent') refused.push(performance.now() - began);
}

// All connections are open before anybody else comes.
await Promise.all(Array.from({ length: 4 }, ask));
let due = performance.now() + EVERY;
const timer = setInterval(() => {
	const now = performance.now();
	late.push(Math.max(0, now - due));
	due = now + EVERY;
	void probe();
}, EVERY);
process.send?.('ready');
process.once('message', () => {
	clearInterval(timer);
	agent.destroy();
	const sorted = (numbers: number[]) => numbers.sort((a, b) => a - b);
	const probed: Probed = { refused: sorted(refused), late: sorted(late) };
	process.send?.(probed, () => process.disconnect());
});
