/**
 * What one decision of the dispatcher costs, few beside many: `npm run build && npm run bench:dispatch`. The same operations, with 1 agent and
 * 10 waiting requests and with 1,000 and 10,000, in processes of their own in turn, for what is collected as garbage counts, and many waste
 * the caches of few. Of all rounds the quickest counts, in which the machine did nothing else. Ends with 1 when many cost more than twice of
 * what few do.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Dispatcher, Lease, Member, Ticket, Waiter, WaitOptions } from '../src/dispatch/dispatcher.ts';
import { seeded } from '../test/helpers/seeded.ts';

const { values } = parseArgs({
	options: {
		rounds: { type: 'string', default: '15' },
		operations: { type: 'string', default: '20000' },
		processes: { type: 'string', default: '3' },
		/** For a process that measures: `few` or `many`. */
		measure: { type: 'string' },
	},
});
const ROUNDS = Number(values.rounds);
const OPERATIONS = Number(values.operations);
const MOST = 2;

const WORKERS = 4;
const SCOPES = 10;
const CALLERS = 100;
const URGENCIES = 8;
const PATHS = ['/v1/chat/completions', '/v1/embeddings', '/v1/images/generations', '/other'];
const NEVER = 1e9;

const MODULE = new URL('../dist/dispatch/dispatcher.js', import.meta.url);
if (!existsSync(MODULE)) throw new Error('build first: npm run build');
// As it is shipped: tsx gives every function its name at run time, which costs more than what is measured here.
const shipped: { readonly Dispatcher: typeof Dispatcher } = await import(MODULE.href);

interface Size {
	readonly agents: number;
	readonly waiting: number;
}

const FEW: Size = { agents: 1, waiting: 10 };
const MANY: Size = { agents: 1000, waiting: 10_000 };

/** Somebody who waits, until it has a lease or leaves. */
class Waiting implements Waiter<Member> {
	readonly #scene: Scene;
	ticket: Ticket | undefined;
	/** In the list of all. */
	place: number;

	constructor(scene: Scene, place: number) {
		this.#scene = scene;
		this.place = place;
	}

	granted(lease: Lease<Member>): void {
		this.#scene.granted(this, lease);
	}

	refused(code: string): void {
		if (code !== 'draining') throw new Error(code);
	}
}

/** A hub at which every worker is taken and as many wait as are to, and as many agents again that nobody waits for, all idle. */
class Scene {
	readonly #random = seeded(1);
	readonly #dispatcher: Dispatcher<Member>;
	readonly #leases: Lease<Member>[] = [];
	readonly #waiting: Waiting[] = [];
	readonly #scopes = Array.from({ length: SCOPES }, (_, scope) => `s${scope}`);
	readonly #callers = Array.from({ length: CALLERS }, (_, caller) => `10.0.0.${caller}`);

	constructor({ agents, waiting }: Size) {
		this.#dispatcher = new shipped.Dispatcher<Member>({
			concurrent: 0,
			queue: { max: 2 * waiting, timeout: NEVER, aging: 30_000 },
			standing: { setAsideAfter: 5, slowStart: 10_000 },
		});
		for (let i = 0; i < agents; i++) {
			// A single agent serves all that is asked for; of many, each a part. For both there are paths to be looked up.
			const scopes = agents === 1 ? this.#scopes : [`s${i % SCOPES}`];
			const scopePaths = agents === 1 ? ['/v1/*', '/other'] : i % 4 === 3 ? ['/v1/*'] : [];
			this.#dispatcher.join({ key: `taken/${i}`, scopes, scopePaths }).setLimit(WORKERS);
			this.#dispatcher.join({ key: `idle/${i}`, scopes: ['idle'], scopePaths: ['/idle'] }).setLimit(WORKERS);
		}
		for (let i = 0; i < agents * WORKERS; i++) this.#leases.push(this.#acquire(`s${i % SCOPES}`, '/v1/embeddings'));
		while (this.#waiting.length < waiting) this.#wait();
	}

	acquireAndRelease(): void {
		const lease = this.#acquire('idle', '/idle');
		lease.outcome = 'served';
		lease.release();
	}

	/** The end of a request gives its worker to the one whose turn it is; another one comes to wait. */
	waitAndGrant(): void {
		const lease = takeOut(this.#leases, this.#random(this.#leases.length));
		lease.outcome = 'served';
		lease.release();
		this.#wait();
	}

	/** One comes to wait, and any of all leaves. */
	waitAndLeave(): void {
		this.#wait();
		const one = this.#waiting[this.#random(this.#waiting.length)];
		if (one === undefined) return;
		this.#forget(one);
		one.ticket?.leave();
	}

	end(): void {
		this.#dispatcher.refuseAll('draining');
	}

	#acquire(scope: string, path: string): Lease<Member> {
		const lease = this.#dispatcher.acquire({ scope, path, affinity: undefined });
		if (typeof lease === 'string') throw new Error(lease);
		return lease;
	}

	#wait(): void {
		const path = PATHS[this.#random(PATHS.length)] ?? '/';
		const options: WaitOptions = {
			urgency: this.#random(URGENCIES),
			timeout: NEVER,
			caller: this.#callers[this.#random(CALLERS)] ?? '',
		};
		const one = new Waiting(this, this.#waiting.length);
		const wanted = { scope: this.#scopes[this.#random(SCOPES)], path, affinity: undefined };
		const ticket = this.#dispatcher.wait(wanted, options, one);
		if (typeof ticket === 'string') throw new Error(ticket);
		one.ticket = ticket;
		this.#waiting.push(one);
	}

	granted(one: Waiting, lease: Lease<Member>): void {
		this.#leases.push(lease);
		this.#forget(one);
	}

	#forget(one: Waiting): void {
		takeOut(this.#waiting, one.place);
		const moved = this.#waiting[one.place];
		if (moved !== undefined) moved.place = one.place;
	}
}

/** The last one takes its place. */
function takeOut<T>(from: T[], at: number): T {
	const taken = from[at];
	const last = from.pop();
	if (taken === undefined || last === undefined) throw new Error('there is nothing at that place');
	if (at < from.length) from[at] = last;
	return taken;
}

/** Microseconds of CPU an operation: time would count what else the machine does. */
function measure(operation: () => void): number {
	const began = process.cpuUsage();
	for (let i = 0; i < OPERATIONS; i++) operation();
	const { user, system } = process.cpuUsage(began);
	return (user + system) / OPERATIONS;
}

const OPERATION: Readonly<Record<string, (scene: Scene) => void>> = {
	'acquire and release': (scene) => scene.acquireAndRelease(),
	'wait and be granted': (scene) => scene.waitAndGrant(),
	'wait and leave': (scene) => scene.waitAndLeave(),
};

/** The quickest round of each operation, behind two in which code is compiled. */
function measured(size: Size): Record<string, number> {
	const scene = new Scene(size);
	const least = Object.entries(OPERATION).map(([name, operation]) => {
		const times = Array.from({ length: 2 + ROUNDS }, () => measure(() => operation(scene))).slice(2);
		return [name, Math.min(...times)] as const;
	});
	scene.end();
	return Object.fromEntries(least);
}

function inProcess(which: string): Record<string, number> {
	const own = ['--measure', which, '--rounds', String(ROUNDS), '--operations', String(OPERATIONS)];
	const script = fileURLToPath(import.meta.url);
	return JSON.parse(execFileSync(process.execPath, [...process.execArgv, script, ...own], { encoding: 'utf8' }));
}

function compare(): void {
	const runs = Array.from({ length: Number(values.processes) }, () => [inProcess('few'), inProcess('many')] as const);
	const head = (size: Size) => `${size.agents} x ${size.waiting}`.padStart(14);
	process.stdout.write(`us of CPU            ${head(FEW)} ${head(MANY)}   ratio\n`);
	for (const name of Object.keys(OPERATION)) {
		const few = Math.min(...runs.map(([times]) => times[name] ?? Number.NaN));
		const many = Math.min(...runs.map(([, times]) => times[name] ?? Number.NaN));
		const cells = [few, many].map((us) => us.toFixed(2).padStart(14));
		process.stdout.write(`${name.padEnd(20)} ${cells.join(' ')} ${(many / few).toFixed(2).padStart(7)}\n`);
		if (!(many / few <= MOST)) process.exitCode = 1;
	}
}

if (values.measure === undefined) compare();
else process.stdout.write(JSON.stringify(measured(values.measure === 'few' ? FEW : MANY)));
