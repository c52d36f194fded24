/** Several agents of one command, each for one upstream, under ids of their own. They come, change and go while the others run on. */
import { isDeepStrictEqual } from 'node:util';
import { UsageError } from '../shared/errors.ts';
import { type Agent, buildAgent, type Common, commonOf, type Unit } from './agent.ts';
import { agentIdFor, loadAgentId } from './identity.ts';
import { AGENT_DEFAULTS, type GivenAgentOptions } from './options.ts';

export interface Agents extends Agent {
	/**
	 * Others from now on, or, if any of them cannot be, none. Those that have not changed run on. One that has changed takes its own
	 * place: new tunnels first, and the old ones end with their last request. One that is not among them any more does so, too.
	 * `stateDir` stays.
	 * @throws UsageError for addresses and files that are wrong
	 */
	reconfigure(groups: readonly GivenAgentOptions[]): Promise<void>;
}

/** One upstream, and who serves it. */
interface Running {
	readonly options: GivenAgentOptions & { readonly agentID: string };
	/** What its id was made from. */
	readonly base: string;
	readonly unit: Unit;
}

type Wanted = Pick<Running, 'options' | 'base'>;

/**
 * Starts them all, or none.
 * @param groups what one or several upstreams each have in common; the state folder is the first one's, and so is the drain timeout
 * @throws UsageError for addresses and files that are wrong
 */
export async function createAgents(groups: readonly GivenAgentOptions[]): Promise<Agents> {
	const fleet = new Fleet(groups[0]?.stateDir);
	await fleet.reconfigure(groups);
	return fleet;
}

class Fleet implements Agents {
	readonly #stateDir: string | undefined;
	/** What is the same for all, once it is known. */
	#common: Common | undefined;
	#keptId: string | undefined;
	#running: readonly Running[] = [];
	/** Whose place others have taken, until their requests are done. */
	readonly #leaving = new Set<Unit>();
	#drainTimeout = AGENT_DEFAULTS.drainTimeout;
	#changing: Promise<unknown> = Promise.resolve();
	#ended = false;

	constructor(stateDir: string | undefined) {
		this.#stateDir = stateDir;
	}

	get ids(): readonly string[] {
		return this.#running.flatMap(({ unit }) => unit.ids);
	}

	get connected(): number {
		return this.#sum(({ connected }) => connected);
	}

	get tunnels(): number {
		return this.#sum(({ tunnels }) => tunnels);
	}

	get busy(): number {
		return this.#sum(({ busy }) => busy);
	}

	get workers(): number {
		return this.#sum(({ workers }) => workers);
	}

	#sum(count: (unit: Unit) => number): number {
		return this.#running.reduce((total, { unit }) => total + count(unit), 0);
	}

	reload(): void {
		for (const { unit } of this.#running) unit.reload();
	}

	reconfigure(groups: readonly GivenAgentOptions[]): Promise<void> {
		const changed = this.#changing.then(() => this.#change(groups));
		this.#changing = changed.catch(() => undefined);
		return changed;
	}

	async drain(): Promise<void> {
		this.#ended = true;
		await Promise.all(this.#all.map((unit) => unit.drainWithin(this.#drainTimeout)));
	}

	async close(): Promise<void> {
		this.#ended = true;
		await Promise.all(this.#all.map((unit) => unit.close()));
	}

	get #all(): readonly Unit[] {
		return [...this.#running.map(({ unit }) => unit), ...this.#leaving];
	}

	async #change(groups: readonly GivenAgentOptions[]): Promise<void> {
		const wanted = await this.#withIds(groups);
		const common = await this.#commonFor(wanted);
		const next: Running[] = [];
		const built: { readonly unit: Unit; readonly before: Running | undefined }[] = [];
		try {
			for (const { options, base } of wanted) {
				const before = this.#running.find((one) => one.options.agentID === options.agentID);
				if (before && isSame(before.options, options)) {
					next.push(before);
					continue;
				}
				const sameUpstream = isDeepStrictEqual(before?.options.upstreams, options.upstreams);
				const unit = await buildAgent(options, common, before && { unit: before.unit, sameUpstream });
				built.push({ unit, before });
				next.push({ options, base, unit });
			}
			if (this.#ended) throw new UsageError('the agent is ending');
		} catch (error) {
			await Promise.all(built.map(({ unit }) => unit.close()));
			throw error;
		}
		const gone = this.#running.filter((one) => !next.includes(one));
		this.#running = next;
		this.#drainTimeout = groups[0]?.drainTimeout ?? AGENT_DEFAULTS.drainTimeout;
		for (const { unit, options } of gone) {
			const successor = next.find((one) => one.options.agentID === options.agentID);
			this.#leaving.add(unit);
			void unit.left.then(() => this.#leaving.delete(unit));
			unit.yieldTo(successor?.options.hubs ?? []);
		}
		for (const { unit } of built) unit.start();
	}

	async #commonFor(wanted: readonly Wanted[]): Promise<Common> {
		const describes = wanted.some(({ options: { reportHardware = true } }) => reportHardware);
		if (this.#common === undefined || (describes && this.#common.hardware === undefined)) {
			const { hardware, windows } = await commonOf(describes);
			this.#common = { hardware, windows: this.#common?.windows ?? windows };
		}
		return this.#common;
	}

	/** One for each upstream, in their order. Who serves an upstream already keeps its id. */
	async #withIds(groups: readonly GivenAgentOptions[]): Promise<readonly Wanted[]> {
		const [first] = groups;
		if (first === undefined) throw new UsageError('there is no agent to run');
		const all: { readonly base: string; readonly group: GivenAgentOptions; readonly upstream: string }[] = [];
		for (const group of groups) {
			if (group.agentID === undefined) this.#keptId ??= await keptId(this.#stateDir, first);
			const base = group.agentID ?? this.#keptId ?? '';
			for (const upstream of group.upstreams) all.push({ base, group, upstream });
		}
		/** Whose base an id was made from. */
		const taken = new Map<string, string>();
		const known = all.map(({ base, upstream }) => {
			const serves = this.#running.find(
				(one) => one.base === base && one.options.upstreams[0] === upstream && !taken.has(one.options.agentID),
			);
			if (serves !== undefined) taken.set(serves.options.agentID, base);
			return serves?.options.agentID;
		});
		return all.map(({ base, group, upstream }, index) => {
			const agentID = known[index] ?? freeId(base, taken);
			return { base, options: { ...group, stateDir: this.#stateDir, upstreams: [upstream], agentID } };
		});
	}
}

/** @throws UsageError when it comes to an id that was made from another base */
function freeId(base: string, taken: Map<string, string>): string {
	for (let count = 0; ; count++) {
		const id = agentIdFor(base, count);
		const by = taken.get(id);
		if (by !== undefined && by !== base) {
			throw new UsageError(`two agents would have the id ${id}: give one another agentID`);
		}
		if (by === base) continue;
		taken.set(id, base);
		return id;
	}
}

/** Whether nothing of it has to be made anew. */
function isSame(one: GivenAgentOptions, other: GivenAgentOptions): boolean {
	const [a, b] = [one, other].map(({ drainTimeout: _, logger: __, ...rest }) => rest);
	return isDeepStrictEqual(a, b);
}

async function keptId(
	stateDir: string | undefined,
	{ logger = AGENT_DEFAULTS.logger }: GivenAgentOptions,
): Promise<string> {
	const stored = await loadAgentId({ stateDir });
	const { id } = stored;
	if (!stored.persistent) {
		const { reason } = stored;
		const remedy = 'name a folder with --stateDir that can be written, or the id itself with --agentID';
		logger.warn({ agent: id, reason }, `the agent will have another id next time: ${remedy}`);
	}
	return id;
}
