/** One place of a soak: whoever runs there, before upstreams of its own and behind a proxy, and all the misfortune that befalls it. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DescriptorLimit } from '../helpers/descriptor-limit.ts';
import { FaultProxy } from '../helpers/fault-proxy.ts';
import { eventually } from '../helpers/stack.ts';
import { Fight } from './fight.ts';
import { lineMisfortunes, type Misfortune } from './line-misfortunes.ts';
import type { OwnProcess, Runner } from './runner.ts';
import type { Turns } from './turns.ts';

/** Percent of what is open. */
export const LEAST_DESCRIPTORS = 50;

/** An upstream, and how many requests are at it. */
export interface Service {
	readonly address: string;
	readonly active: number;
}

export interface SiteOptions {
	/** Of the hub. */
	readonly port: number;
	/** No two runners have the same at a time, for each counts its workers for itself. Where there is one, nobody else comes. */
	readonly services: readonly Service[];
	/** @param hub behind the proxy, by its address */
	readonly start: (hub: string, upstream: string) => Promise<Runner>;
	/** Whoever starts a process needs descriptors. */
	readonly spawning: Turns;
	readonly below: (below: number) => number;
}

interface Running {
	readonly runner: Runner;
	readonly service: Service;
}

export class Site {
	readonly proxy: FaultProxy;
	readonly #options: SiteOptions;
	readonly #misfortunes: readonly Misfortune[];
	#running: Running[] = [];

	private constructor(proxy: FaultProxy, options: SiteOptions) {
		this.proxy = proxy;
		this.#options = options;
		const replaced: readonly Misfortune[] = [
			async () => {
				await this.#replace((runner) => runner.drain());
				return 'drained';
			},
			async () => {
				await this.#replace((runner) => runner.close());
				return 'ended';
			},
		];
		this.#misfortunes = [
			...lineMisfortunes(proxy, options.below),
			...replaced,
			...(options.services.length > 1 ? [() => this.#fight()] : []),
		];
	}

	static async open(context: TestContext, options: SiteOptions): Promise<Site> {
		const site = new Site(await FaultProxy.open(context, options.port, { seed: options.below(1_000_000) }), options);
		context.after(() => site.close());
		await site.#start();
		return site;
	}

	get connected(): boolean {
		return this.#running.some(({ runner }) => runner.connected);
	}

	/** One misfortune, to its end. @returns its name */
	suffer(): Promise<string> {
		const { own } = this.#runner;
		const all = [...this.#misfortunes, ...(own === undefined ? [] : this.#ofProcess(own))];
		const one = all[this.#options.below(all.length)];
		assert.ok(one);
		return one();
	}

	/** As it was at the start: agents that back off after many losses start over. A process has to come back from a stop as well. */
	async recover(): Promise<void> {
		this.proxy.thaw();
		this.proxy.line = {};
		this.proxy.newcomers = 'pass';
		this.proxy.release();
		await this.#replace((runner) => runner.drain());
		if (this.#runner.own === undefined) return;
		await this.#connected(this.#runner);
		await this.#stopped(this.#runner.own);
	}

	/** How often the log of whoever runs there said so. */
	said(sentence: string): number {
		return this.#running.reduce((sum, { runner }) => sum + runner.said(sentence), 0);
	}

	async close(): Promise<void> {
		const running = this.#running;
		this.#running = [];
		this.proxy.close();
		// A runner that ended by itself has failed the soak by then.
		await Promise.allSettled(running.map(({ runner }) => runner.close()));
	}

	/** Whoever is there, between misfortunes. */
	get #runner(): Runner {
		const [running] = this.#running;
		assert.ok(running);
		return running.runner;
	}

	#ofProcess(own: OwnProcess): readonly Misfortune[] {
		const { below, spawning } = this.#options;
		return [
			async () => {
				await this.#stopped(own);
				return 'stopped';
			},
			async () => {
				own.stop();
				await sleep(below(2000));
				await this.#replace((runner) => runner.close());
				return 'stopped and killed';
			},
			async () => {
				const limit = await spawning.take(() => DescriptorLimit.of(own.pid));
				await limit.lower(LEAST_DESCRIPTORS + below(100 - LEAST_DESCRIPTORS));
				await sleep(below(2000));
				await limit.putBack();
				return 'an agent without descriptors';
			},
		];
	}

	async #stopped(own: OwnProcess): Promise<void> {
		own.stop();
		await sleep(this.#options.below(3000));
		own.goOn();
	}

	/** A second one comes with the identity of the first. One of them is left. */
	async #fight(): Promise<string> {
		const { below } = this.#options;
		// Its tries are still quick.
		await this.#replace((runner) => runner.drain());
		const older = this.#runner;
		await this.#connected(older);
		const stopped = older.own !== undefined && below(2) === 0;
		if (stopped) older.own?.stop();
		const newer = await this.#start();
		const fight = new Fight(older, newer);
		if (stopped) {
			await sleep(below(2000));
			older.own?.goOn();
		}
		const { winner, loser } = await fight.decided();
		await sleep(below(2000));
		fight.assertNoTurns();
		// A loser that is left comes back when it asks again.
		const ends = below(4) === 0 ? winner : loser;
		await (below(2) === 0 ? ends.drain() : ends.close());
		this.#running = this.#running.filter(({ runner }) => runner !== ends);
		if (ends === loser) await this.#connected(winner);
		return `two with one identity${stopped ? ', one of them stopped' : ''}`;
	}

	async #connected(runner: Runner): Promise<void> {
		await eventually('it is connected', () => runner.connected);
	}

	async #replace(end: (runner: Runner) => Promise<void>): Promise<void> {
		await end(this.#runner);
		this.#running = [];
		await this.#start();
	}

	async #start(): Promise<Runner> {
		const { services, start, below } = this.#options;
		const free = services.filter((one) => this.#running.every(({ service }) => service !== one));
		const service = free[below(free.length)];
		assert.ok(service);
		// What counts the workers ends with the process; nobody starts the next one within the same millisecond.
		await eventually('the upstream is idle', () => service.active === 0);
		const runner = await start(this.proxy.url, service.address);
		this.#running.push({ runner, service });
		return runner;
	}
}
