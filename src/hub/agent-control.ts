/** What operators do to single agents: drain, resume, disconnect. Remembers who is drained, for an agent that comes back is still that. */
import type { AgentTarget } from '../admin/api.ts';
import type { AgentName } from '../admin/status.ts';
import { SlimeError } from '../shared/errors.ts';
import type { Logger } from '../shared/logger.ts';
import { within } from '../shared/within.ts';
import type { AgentLink } from './agent-link.ts';

/** Most agents that may be drained at a time. */
const MOST = 10_000;
/** How long a tunnel may take to close before that is not waited for, in milliseconds. */
const CLOSING = 5000;

export class AgentControl {
	readonly #links: () => readonly AgentLink[];
	readonly #logger: Logger;
	/** By token id and agent id. */
	readonly #drained = new Map<string, AgentName>();

	/** @param links every tunnel that there is */
	constructor(links: () => readonly AgentLink[], logger: Logger) {
		this.#links = links;
		this.#logger = logger;
	}

	/** Longest drained first; connected or not. */
	get drained(): readonly AgentName[] {
		return [...this.#drained.values()];
	}

	/** @param key token id and agent id */
	isDrained(key: string): boolean {
		return this.#drained.has(key);
	}

	/** @throws SlimeError `not_found`, and `bad_request` when too many are drained already */
	drain(target: AgentTarget): readonly AgentName[] {
		const links = this.#find(target);
		if (this.#drained.size + links.length > MOST) {
			throw new SlimeError('bad_request', `There are ${MOST} agents that are drained already: resume some.`);
		}
		for (const link of links) {
			this.#drained.set(link.key, nameOf(link));
			link.drain();
		}
		return this.#report(links.map(nameOf), 'an operator drained the agent: it gets no new requests');
	}

	/** @throws SlimeError `not_found` when none of them is drained */
	resume(target: AgentTarget): readonly AgentName[] {
		const resumed = [...this.#drained].filter(([, name]) => isMeant(name, target));
		if (resumed.length === 0) throw new SlimeError('not_found', 'No agent of this id is drained.');
		for (const [key] of resumed) this.#drained.delete(key);
		for (const link of this.#links()) {
			if (isMeant(nameOf(link), target)) link.resume();
		}
		return this.#report(
			resumed.map(([, name]) => name),
			'an operator resumed the agent',
		);
	}

	/** Resolves when the tunnels are closed. @throws SlimeError `not_found` */
	async disconnect(target: AgentTarget): Promise<readonly AgentName[]> {
		const links = this.#find(target);
		const names = this.#report(links.map(nameOf), 'an operator disconnected the agent');
		const closed = links.map((link) => link.end('disconnected', 'disconnected by an operator'));
		await within(CLOSING, Promise.all(closed));
		return names;
	}

	#find(target: AgentTarget): readonly AgentLink[] {
		const links = this.#links().filter((link) => isMeant(nameOf(link), target));
		if (links.length > 0) return links;
		throw new SlimeError('not_found', 'No agent of this id is connected.');
	}

	/** @param names of tunnels, of which an agent may have two @returns those of agents */
	#report(names: readonly AgentName[], what: string): readonly AgentName[] {
		const agents = [...new Map(names.map((name) => [`${name.tokenId}/${name.id}`, name])).values()];
		for (const { id: agent, token, tokenId } of agents) this.#logger.warn({ agent, token, tokenId }, what);
		return agents;
	}
}

function nameOf({ identity: { agentId, tokenName, tokenId } }: AgentLink): AgentName {
	return { id: agentId, token: tokenName, tokenId };
}

function isMeant(name: AgentName, { agent, tokenId }: AgentTarget): boolean {
	return name.id === agent && (tokenId === undefined || name.tokenId === tokenId);
}
