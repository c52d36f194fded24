/** Slime as a library: a hub, an agent, and what they can be told. Each is loaded when it is asked for: neither needs the other. */
import type { Agent } from './agent/agent.ts';
import type { Agents } from './agent/agents.ts';
import type { GivenAgentOptions } from './agent/options.ts';
import type { Hub } from './hub/hub.ts';
import type { GivenHubOptions } from './hub/options.ts';

export type { Agent } from './agent/agent.ts';
export type { Agents } from './agent/agents.ts';
export type { AgentOptions, GivenAgentOptions } from './agent/options.ts';
export type { ApiKeyOptions } from './auth/api-keys.ts';
export type { Revocation, RevocationTarget } from './auth/revocations.ts';
export { createTokens, type TokenClaims, type TokenRequest, type Tokens } from './auth/tokens.ts';
export type { AccessLogField, AccessLogOptions } from './config/access-log.ts';
export type { CorsOptions } from './config/cors.ts';
export type { EndedCounts } from './hub/ended.ts';
export type { Hub } from './hub/hub.ts';
export type { GivenHubOptions, HubOptions, ListeningSockets } from './hub/options.ts';
export { createLogger, type Logger, type LogLevel, silentLogger } from './shared/logger.ts';
export type { SpanAttributes, SpanStart, TraceSpan, Tracing } from './shared/tracing.ts';

/**
 * Starts a hub that listens.
 * @throws the system's error when a port cannot be listened on, UsageError for options that make no sense
 */
export async function createHub(options: GivenHubOptions): Promise<Hub> {
	const hub = await import('./hub/hub.ts');
	return hub.createHub(options);
}

/**
 * Starts connecting and returns; hubs may come and go.
 * @throws UsageError for addresses and files that are wrong
 */
export async function createAgent(options: GivenAgentOptions): Promise<Agent> {
	const agent = await import('./agent/agent.ts');
	return agent.createAgent(options);
}

/**
 * Starts several agents, each for one upstream, under ids of their own; all or none.
 * @param groups options that one or several upstreams have in common
 * @throws UsageError for addresses and files that are wrong
 */
export async function createAgents(groups: readonly GivenAgentOptions[]): Promise<Agents> {
	const agents = await import('./agent/agents.ts');
	return agents.createAgents(groups);
}
