/** Slime as a library: a hub, an agent, and what they can be told. */
export { type Agent, createAgent } from './agent/agent.ts';
export type { AgentOptions, GivenAgentOptions } from './agent/options.ts';
export { createTokens, type TokenClaims, type TokenRequest, type Tokens } from './auth/tokens.ts';
export { createHub, type Hub } from './hub/hub.ts';
export type { GivenHubOptions, HubOptions } from './hub/options.ts';
export { createLogger, type Logger, type LogLevel, silentLogger } from './shared/logger.ts';
