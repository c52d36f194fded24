/** An agent as a user starts it: for each upstream an identity, its slots, and a tunnel to every hub. Puts parts together. */
import { createSecureContext, type SecureContext } from 'node:tls';
import { WindowBudget } from '../h2/window.ts';
import { UsageError } from '../shared/errors.ts';
import { version } from '../shared/version.ts';
import { within } from '../shared/within.ts';
import { clientSecureContext, loadClientTls } from '../tls/contexts.ts';
import { parseHubAddress } from '../tunnel/address.ts';
import { protocolOf, socketTo, tlsTo } from './connect.ts';
import { Connector } from './connector.ts';
import { describeMachine } from './hardware.ts';
import { agentIdFor, loadAgentId } from './identity.ts';
import { AGENT_DEFAULTS, type AgentOptions, type GivenAgentOptions } from './options.ts';
import { Slots } from './slots.ts';
import { parseUpstream, type Upstream } from './upstream.ts';
import { AlpnUpstream } from './upstream-alpn.ts';
import type { UpstreamClient } from './upstream-client.ts';
import { Http1Upstream } from './upstream-http1.ts';
import { Http2Upstream } from './upstream-http2.ts';

export interface Agent {
	/** The ids under which the upstreams are known, in their order. */
	readonly ids: readonly string[];
	/** Tunnels that are up. */
	readonly connected: number;
	/** Ends gracefully: no new requests, those under way may finish until the drain timeout. */
	drain(): Promise<void>;
	/** Ends at once. */
	close(): Promise<void>;
}

/** Growth of the receive windows of all tunnels together. */
const PROCESS_WINDOWS = 256 * 1024 * 1024;

/** Starts connecting and returns; hubs may come and go. @throws UsageError for addresses and files that are wrong */
export async function createAgent(given: GivenAgentOptions): Promise<Agent> {
	const options: AgentOptions = { ...AGENT_DEFAULTS, ...given };
	const { logger } = options;
	const hubs = options.hubs.map(parseHubAddress);
	const upstreams = options.upstreams.map(parseUpstream);
	if (hubs.length === 0) throw new UsageError('an agent needs a hub: --hub');
	if (upstreams.length === 0) throw new UsageError('an agent needs an upstream: --upstream');
	const tls = loadClientTls({ ca: options.ca, cert: options.tlsCert, key: options.tlsKey });
	const needsTls = hubs.some((hub) => hub.secure) || upstreams.some(({ protocol }) => protocol === 'https');
	const forHubs = needsTls ? clientSecureContext(tls) : undefined;
	// The certificate is for hubs; an upstream gets the trusted roots alone.
	const forUpstreams = needsTls ? createSecureContext({ ca: tls.ca }) : undefined;
	const { id, persistent } = await loadAgentId({ agentID: options.agentID, stateDir: options.stateDir });
	if (!persistent)
		logger.warn({ agent: id }, 'the state folder cannot be written: the agent will have another id next time');
	const hardware = options.reportHardware ? await describeMachine() : undefined;
	const windows = new WindowBudget(PROCESS_WINDOWS);

	const ids: string[] = [];
	const connectors: Connector[] = [];
	const clients: UpstreamClient[] = [];
	for (const [index, upstream] of upstreams.entries()) {
		const agentId = agentIdFor(id, index);
		ids.push(agentId);
		const ownLogger = logger.child({ agent: agentId });
		const slots = new Slots(options.numWorker);
		const client = clientFor(upstream, options, forUpstreams);
		clients.push(client);
		const worker = {
			upstream: client,
			prefix: upstream.prefix,
			ownAuthorization: authorizationFor(upstream, options) !== undefined,
			logger: ownLogger,
		};
		for (const hub of hubs) {
			const connector = new Connector({
				hub,
				token: options.token,
				agentId,
				info: { version, numWorker: options.numWorker, ...(hardware && { hardware }) },
				secureContext: forHubs,
				connectTimeout: options.connectTimeout,
				slots,
				worker,
				heartbeat: options.heartbeat,
				windows,
				logger: ownLogger,
			});
			connectors.push(connector);
			connector.start();
		}
		ownLogger.info(
			{ upstream: upstream.label, numWorker: options.numWorker, hubs: hubs.map((hub) => hub.label) },
			'agent started',
		);
	}

	const close = async () => {
		for (const connector of connectors) connector.destroy();
		for (const client of clients) client.close();
	};
	return {
		ids,
		get connected() {
			return connectors.filter((connector) => connector.connected).length;
		},
		drain: async () => {
			const drained = Promise.all(connectors.map((connector) => connector.drain()));
			if (!(await within(options.drainTimeout, drained))) {
				logger.warn('the drain timeout has passed: requests under way are cut');
			}
			await close();
		},
		close,
	};
}

function authorizationFor(upstream: Upstream, options: AgentOptions): string | undefined {
	if (options.upstreamToken !== undefined) return `Bearer ${options.upstreamToken}`;
	return upstream.basic === undefined ? undefined : `Basic ${upstream.basic}`;
}

function clientFor(upstream: Upstream, options: AgentOptions, tls: SecureContext | undefined): UpstreamClient {
	const { connectTimeout, firstByteTimeout, heartbeat } = options;
	const identity = { authority: upstream.authority, authorization: authorizationFor(upstream, options) };
	switch (upstream.protocol) {
		case 'http':
		case 'unix':
			return new Http1Upstream({ identity, firstByteTimeout, connect: socketTo(upstream, connectTimeout) });
		case 'h2c': {
			const connect = socketTo(upstream, connectTimeout);
			return new Http2Upstream({ identity, scheme: 'http', firstByteTimeout, heartbeat, connect });
		}
		case 'https': {
			const context = tls ?? createSecureContext();
			const http1 = new Http1Upstream({
				identity,
				firstByteTimeout,
				connect: tlsTo(upstream, context, 'http/1.1', connectTimeout),
			});
			return new AlpnUpstream({
				ask: () => protocolOf(upstream, context, connectTimeout),
				http1,
				http2: new Http2Upstream({
					http1,
					identity,
					scheme: 'https',
					firstByteTimeout,
					heartbeat,
					connect: tlsTo(upstream, context, 'h2', connectTimeout),
				}),
			});
		}
	}
}
