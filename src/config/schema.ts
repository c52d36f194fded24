/** Every key that a configuration has, what it means and its default. Durations are milliseconds and sizes bytes once read. */
import { z } from 'zod';
import { parsePin } from '../tls/pins.ts';
import { parseHubAddress } from '../tunnel/address.ts';
import { checkNetwork } from '../tunnel/trusted-proxies.ts';
import {
	agentId,
	bearerToken,
	boolean,
	checkName,
	checkOrigin,
	checkUpgrade,
	duration,
	host,
	integer,
	listOf,
	oneOf,
	password,
	path,
	port,
	portOrOff,
	secret,
	serverName,
	size,
} from './values.ts';

/** Shorter than this it would find dead what is only slow. */
const LEAST_HEARTBEAT = 50;
/** Shorter than this it would end connections of honest peers. */
const LEAST_TIMEOUT = 100;

const heartbeat = z
	.strictObject({
		/** A tunnel without a byte for this long is asked for a sign of life. */
		interval: duration(LEAST_HEARTBEAT).default(10_000),
		/** How long the answer may take before the tunnel is given up. */
		timeout: duration(LEAST_HEARTBEAT).default(5_000),
	})
	.prefault({});

const queue = z
	.strictObject({
		/** Which requests wait for a worker: `header`, those that say Slime-Block; `always`, all but Slime-Block: 0. */
		mode: oneOf('header', 'always').default('header'),
		/** Most requests that may wait at a time. */
		max: integer(0).default(1024),
		/** Most requests that may wait while no agent is connected that could serve them; within `max`. */
		maxWithoutAgent: integer(0).default(1024),
		/** How long a request may wait. */
		timeout: duration().default(300_000),
		/** Bytes of request bodies that waiting requests may hold, all together. */
		maxBytes: size().default(256 * 2 ** 20),
		/** A request that has waited so long counts as one step more urgent, and again after as long; 0 for never. */
		aging: duration().default(30_000),
	})
	.prefault({});

const cors = z
	.strictObject({
		/** Origins whose pages may ask, such as https://app.example.com, or * for all; without it upstreams decide. */
		origins: listOf(checkOrigin).optional(),
		/** Methods that such pages may use; * is any. */
		methods: listOf(checkName).default(['*']),
		/** Request headers that such pages may set; * is any. */
		headers: listOf(checkName).default(['*']),
		/** Response headers that such pages may read; * is any. */
		exposedHeaders: listOf(checkName).default(['Slime-Agent-Id', 'Slime-Error', 'Retry-After', 'X-Request-Id']),
		/** Whether browsers send cookies and credentials along. */
		credentials: boolean().default(false),
		/** How long a browser may remember what it was told. */
		maxAge: duration().default(7_200_000),
	})
	.prefault({});

const hub = z
	.strictObject({
		/** Signs and verifies agents' tokens; better in a file. */
		secret: secret().optional(),
		/** A file with the secret. */
		secretFile: path().optional(),
		/** The secret before this one: its tokens still work, none are made with it. */
		previousSecret: secret().optional(),
		/** A file with the secret before this one. */
		previousSecretFile: path().optional(),
		/** Address that applications and agents connect to. */
		host: host().default('0.0.0.0'),
		/** Port that applications and agents connect to; 0 is any free one. */
		port: port().default(8080),
		/** Most requests that may hold a worker at a time; 0 is no limit. */
		concurrent: integer(0).default(0),
		/** What applications must present; without one everybody may come in. */
		appPassword: password().optional(),
		/** A file with the app password. */
		appPasswordFile: path().optional(),
		/** Certificate chain, a PEM file; TLS on the hub's ports. */
		tlsCert: path().optional(),
		/** Key of the certificate, a PEM file. */
		tlsKey: path().optional(),
		/** PEM file of the authority that signs agents' certificates; with it an agent must bring one. */
		clientCa: path().optional(),
		/** Who must bring a certificate of clientCa: `agents`; `all`, apps too; `optional`, nobody, but one that is brought must be right. */
		clientAuth: oneOf('agents', 'all', 'optional').default('agents'),
		/** Whether an agent's certificate must be for its token's name: the one of its DNS names or URIs, without any its common name. */
		bindIdentity: boolean().default(false),
		/** Address that agents connect to, if not where applications do; hub.host if left out. */
		agentHost: host().optional(),
		/** Port that agents connect to, and applications then cannot; 0 is any free one. Agents share hub.port if left out. */
		agentPort: port().optional(),
		/** Proxies before the hub whose X-Forwarded-* and Forwarded are believed: IP addresses, CIDR blocks, loopback, private. */
		trustedProxies: listOf(checkNetwork).default([]),
		/** Whether connections of those proxies begin with a PROXY header, version 1 or 2. */
		proxyProtocol: boolean().default(false),
		/** What browsers are told about requests of other origins. */
		cors,
		/** Address of the admin listener. */
		adminHost: host().default('127.0.0.1'),
		/** Port of the admin listener; 0 is any free one, `off` opens none. */
		adminPort: portOrOff().default(8081),
		/** What whoever uses /api on the admin listener must present; needed if that is not on loopback. */
		adminToken: bearerToken().optional(),
		/** A file with the admin token. */
		adminTokenFile: path().optional(),
		/** Whether /readyz answers 503 while no agent is connected. */
		readyNeedsAgent: boolean().default(false),
		/** Folder where the hub keeps what must survive a restart. */
		stateDir: path().optional(),
		/** Which requests wait for a worker, how many, how long. */
		queue,
		/** How a dead tunnel is noticed. */
		heartbeat,
		/** Requests in a row that an agent's upstream has to fail until others are preferred to it for a while; 0 for never. */
		setAsideAfter: integer(0).default(5),
		/** How long others are preferred to an agent that has come back. */
		slowStart: duration().default(10_000),
		/** From a request's dispatch to the first byte of its response. */
		firstByteTimeout: duration(1).default(600_000),
		/** How long requests in progress may take to finish when the hub stops. */
		drainTimeout: duration().default(30_000),
		/** Most connections at a time. */
		maxConnections: integer(1).default(10_000),
		/** Most connections of one address at a time; 0 is no limit. Trusted proxies have none. */
		maxConnectionsPerAddress: integer(0).default(0),
		/** Requests after which an app's connection is closed; 0 is no limit. */
		maxRequestsPerConnection: integer(0).default(0),
		/** How long a request's headers may take to arrive; also a connection's first byte, and a PROXY header. */
		headersTimeout: duration(LEAST_TIMEOUT).default(15_000),
		/** How long an app's connection may be idle. */
		keepAliveTimeout: duration(LEAST_TIMEOUT).default(75_000),
		/** How long a TLS handshake may take. */
		handshakeTimeout: duration(LEAST_TIMEOUT).default(15_000),
		/** Protocols that applications may switch to by Upgrade, beside WebSocket. */
		upgrades: listOf(checkUpgrade, { mayBeEmpty: true }).default([]),
	})
	.prefault({});

const agent = z
	.strictObject({
		/** The token that `slime hub register` printed; better in a file. */
		token: bearerToken().optional(),
		/** A file with the token. */
		tokenFile: path().optional(),
		/** Hubs to connect to, one or more: host:port or http(s)://[user[:password]@]host[:port][/path]. */
		hub: listOf(parseHubAddress).optional(),
		/** Services to serve, one or more, an agent each: as a hub, or h2c://host:port, or unix:/path. */
		upstream: listOf((text) => text).optional(),
		/** Most requests at an upstream at a time, 1 to 65535. */
		numWorker: integer(1, 65_535).default(1),
		/** Name of the agent at the hub; made once and kept in the state folder when left out. */
		agentID: agentId().optional(),
		/** Whether the hub is told what machine this is. */
		reportHardware: boolean().default(true),
		/** PEM file of authorities trusted beside the system's, for hubs and https upstreams. */
		ca: path().optional(),
		/** Client certificate for hubs that ask for one, a PEM file. */
		tlsCert: path().optional(),
		/** Key of the client certificate, a PEM file. */
		tlsKey: path().optional(),
		/** Name that https hubs are asked for (SNI), and that their certificates must be for, instead of the address's. */
		serverName: serverName().optional(),
		/** Keys that https hubs may have, one or more: sha256/ and base64 of the public key's SHA-256. */
		pin: listOf(parsePin).optional(),
		/** How the tunnel travels: `upgrade`, in HTTP's; `websocket`, in messages of a WebSocket; `auto`, whichever passes. */
		transport: oneOf('upgrade', 'websocket', 'auto').default('auto'),
		/** Sent to the upstream as Authorization: Bearer; better in a file. */
		upstreamToken: bearerToken().optional(),
		/** A file with the token for the upstream. */
		upstreamTokenFile: path().optional(),
		/** Folder where the agent keeps its id. */
		stateDir: path().optional(),
		/** How long connecting to an upstream may take. */
		connectTimeout: duration(1).default(10_000),
		/** From a request's start to the first byte of the upstream's response. */
		firstByteTimeout: duration(1).default(600_000),
		/** How long requests in progress may take to finish when the agent stops. */
		drainTimeout: duration().default(30_000),
		/** How a dead tunnel is noticed. */
		heartbeat,
	})
	.prefault({});

const log = z
	.strictObject({
		/** What is logged: trace, debug, info, warn, error or silent. */
		level: oneOf('trace', 'debug', 'info', 'warn', 'error', 'silent').default('info'),
	})
	.prefault({});

export const schema = z.strictObject({ hub, agent, log });

/** Everything that was configured, defaults filled in. */
export type Configuration = z.output<typeof schema>;

/** Keys that name PEM files, read by whoever opens connections; here they only have to be readable. */
export const PEM_FILES: ReadonlySet<string> = new Set([
	'hub.tlsCert',
	'hub.tlsKey',
	'hub.clientCa',
	'agent.ca',
	'agent.tlsCert',
	'agent.tlsKey',
]);
