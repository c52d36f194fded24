/** Every key of an agent, what it means and its default. Durations are milliseconds once read. */
import { z } from 'zod';
import { parsePin } from '../tls/pins.ts';
import { parseHubAddress } from '../tunnel/address.ts';
import { heartbeat } from './heartbeat-schema.ts';
import {
	bearerToken,
	boolean,
	duration,
	integer,
	label,
	labels,
	listOf,
	oneOf,
	path,
	scopes,
	serverName,
	urlPath,
} from './values.ts';

/** Shorter than this they would be a load, or find ill who is only slow. */
const LEAST_CHECK = 50;

const healthCheck = z
	.strictObject({
		path: urlPath()
			.optional()
			.describe('Path that is asked for by GET, as it is; 200 to 399 is well. Without one nothing is asked for.'),
		interval: duration(LEAST_CHECK)
			.default(10_000)
			.describe('How long between two checks of an upstream that is well.'),
		timeout: duration(LEAST_CHECK).default(5_000).describe('How long the answer may take.'),
		unhealthyThreshold: integer(1, 1000).default(3).describe('Failed checks in a row after which it is ill.'),
		healthyThreshold: integer(1, 1000).default(1).describe('Passed checks in a row after which it is well again.'),
	})
	.prefault({});

export const agent = z
	.strictObject({
		token: bearerToken().optional().describe('The token that `slime hub register` printed; better in a file.'),
		tokenFile: path().optional().describe('A file with the token.'),
		hub: listOf(parseHubAddress)
			.optional()
			.describe('Hubs to connect to, one or more: host:port or http(s)://[user[:password]@]host[:port][/path].'),
		upstream: listOf((text) => text)
			.optional()
			.describe('Services to serve, one or more, an agent each: as a hub, or h2c://host:port, or unix:/path.'),
		numWorker: integer(1, 65_535).default(1).describe('Most requests at an upstream at a time, 1 to 65535.'),
		agentID: label('an agent id')
			.optional()
			.describe('Name of the agent at the hub; made once and kept in the state folder when left out.'),
		scopes: scopes()
			.optional()
			.describe(
				'Which scopes of its token the agent serves; all of them if left out. `[]`: none, only requests without one.',
			),
		labels: labels().optional().describe('What the hub shows beside the agent: names with a value each.'),
		reportHardware: boolean().default(true).describe('Whether the hub is told what machine this is.'),
		ca: path()
			.optional()
			.describe("PEM file of authorities trusted beside the system's, for hubs and https upstreams."),
		tlsCert: path().optional().describe('Client certificate for hubs that ask for one, a PEM file.'),
		tlsKey: path().optional().describe('Key of the client certificate, a PEM file.'),
		serverName: serverName()
			.optional()
			.describe(
				"Name that https hubs are asked for (SNI), and that their certificates must be for, instead of the address's.",
			),
		pin: listOf(parsePin)
			.optional()
			.describe("Keys that https hubs may have, one or more: sha256/ and base64 of the public key's SHA-256."),
		transport: oneOf('upgrade', 'websocket', 'auto')
			.default('auto')
			.describe(
				"How the tunnel travels: `upgrade`, in HTTP's; `websocket`, in messages of a WebSocket; `auto`, whichever passes.",
			),
		upstreamToken: bearerToken()
			.optional()
			.describe('Sent to the upstream as Authorization: Bearer; better in a file.'),
		upstreamTokenFile: path().optional().describe('A file with the token for the upstream.'),
		stateDir: path().optional().describe('Folder where the agent keeps its id.'),
		waitForUpstream: boolean()
			.default(false)
			.describe('Whether hubs are connected to only once the upstream takes connections, or passes its health checks.'),
		healthCheck: healthCheck.describe('Requests by which the agent sees whether its upstream is well.'),
		connectTimeout: duration(1).default(10_000).describe('How long connecting to an upstream, or to a hub, may take.'),
		resolveInterval: duration()
			.default(30_000)
			.describe("How often the hub's name is looked up: each hub behind it gets a tunnel. 0: one tunnel, never again."),
		firstByteTimeout: duration(1)
			.default(600_000)
			.describe("From a request's start to the first byte of the upstream's response."),
		drainTimeout: duration()
			.default(30_000)
			.describe('How long requests in progress may take to finish when the agent stops.'),
		heartbeat: heartbeat.describe('How a dead tunnel is noticed.'),
	})
	.prefault({});

/** Several agents of one command: what one of them does not say, `agent` says for all. */
export const agents = z
	.array(agent.unwrap().omit({ stateDir: true, drainTimeout: true }))
	.optional()
	.describe('Several agents, each with keys of `agent`; what one of them leaves out is as there.');
