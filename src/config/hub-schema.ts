/** Every key of a hub, what it means and its default. Durations are milliseconds and sizes bytes once read. */
import { z } from 'zod';
import { checkNetwork } from '../tunnel/trusted-proxies.ts';
import { ACCESS_LOG_FIELDS } from './access-log.ts';
import { heartbeat } from './heartbeat-schema.ts';
import {
	bearerToken,
	boolean,
	checkName,
	checkOrigin,
	checkScope,
	checkUpgrade,
	duration,
	host,
	integer,
	label,
	listOf,
	oneOf,
	password,
	path,
	port,
	portOrOff,
	rate,
	secret,
	share,
	size,
	someOf,
} from './values.ts';

/** Shorter than this it would end connections of honest peers. */
const LEAST_TIMEOUT = 100;

const queue = z
	.strictObject({
		mode: oneOf('header', 'always')
			.default('header')
			.describe(
				'Which requests wait for a worker: `header`, those that say Slime-Block; `always`, all but Slime-Block: 0.',
			),
		max: integer(0).default(1024).describe('Most requests that may wait at a time.'),
		maxWithoutAgent: integer(0)
			.default(1024)
			.describe('Most requests that may wait while no agent is connected that could serve them; within `max`.'),
		timeout: duration().default(300_000).describe('How long a request may wait.'),
		maxBytes: size()
			.default(256 * 2 ** 20)
			.describe('Bytes of request bodies that waiting requests may hold, all together.'),
		aging: duration()
			.default(30_000)
			.describe(
				'A request that has waited so long counts as one step more urgent, and again after as long; 0 for never.',
			),
		waitForUpstream: boolean()
			.default(false)
			.describe(
				'Whether requests that wait do so also while the upstreams of all agents that could serve them are down; else 502.',
			),
	})
	.prefault({});

const cors = z
	.strictObject({
		origins: listOf(checkOrigin)
			.optional()
			.describe(
				'Origins whose pages may ask, such as `https://app.example.com`, or `*` for all; without it upstreams decide.',
			),
		methods: listOf(checkName).default(['*']).describe('Methods that such pages may use; `*` is any.'),
		headers: listOf(checkName).default(['*']).describe('Request headers that such pages may set; `*` is any.'),
		exposedHeaders: listOf(checkName)
			.default(['Slime-Agent-Id', 'Slime-Error', 'Retry-After', 'X-Request-Id'])
			.describe('Response headers that such pages may read; `*` is any.'),
		credentials: boolean().default(false).describe('Whether browsers send cookies and credentials along.'),
		maxAge: duration().default(7_200_000).describe('How long a browser may remember what it was told.'),
	})
	.prefault({});

const apiKey = z
	.strictObject({
		name: label('a name')
			.optional()
			.describe('Who that is, for the log; keys take turns in the queue by it. Required.'),
		key: password().optional().describe('What the application presents; better in a file.'),
		keyFile: path().optional().describe('A file with the key.'),
		scopes: listOf(checkScope)
			.optional()
			.describe(
				'Scopes that it may ask for; asking for none it gets agents with any of these. All of them, and any agent, if left out.',
			),
		priority: integer(0, 7).default(0).describe('The most urgent `u` of Priority that it may use, from 0 to 7.'),
		concurrent: integer(0)
			.default(0)
			.describe('Most requests that it may have in progress, those that wait among them; 0 is no limit.'),
		rate: rate()
			.optional()
			.describe(
				'Most requests in a time, all at once or spread, such as `10/s`, `600/1h` or `5/10s`; no limit if left out.',
			),
	})
	.prefault({});

const accessLog = z
	.strictObject({
		sample: share()
			.default(0)
			.describe('The share of requests that get a line in the log, such as 0.01; 1 is all of them, 0 none.'),
		errors: boolean()
			.default(false)
			.describe(
				'Whether requests that fail get one in any case: with an error of the hub, cut, or with a status from 500 on.',
			),
		fields: someOf(...ACCESS_LOG_FIELDS)
			.default(ACCESS_LOG_FIELDS)
			.describe('What such a line says.'),
	})
	.prefault({});

export const hub = z
	.strictObject({
		secret: secret().optional().describe("Signs and verifies agents' tokens; better in a file."),
		secretFile: path().optional().describe('A file with the secret.'),
		previousSecret: secret()
			.optional()
			.describe('The secret before this one: its tokens still work, none are made with it.'),
		previousSecretFile: path().optional().describe('A file with the secret before this one.'),
		host: host().default('0.0.0.0').describe('Address that applications and agents connect to.'),
		port: port().default(8080).describe('Port that applications and agents connect to; 0 is any free one.'),
		concurrent: integer(0).default(0).describe('Most requests that may hold a worker at a time; 0 is no limit.'),
		appPassword: password()
			.optional()
			.describe('What applications must present; without one, and without keys, everybody may come in.'),
		appPasswordFile: path().optional().describe('A file with the app password.'),
		keys: z.array(apiKey).optional().describe('What applications may present instead, each with what it may do.'),
		tlsCert: path().optional().describe("Certificate chain, a PEM file; TLS on the hub's ports."),
		tlsKey: path().optional().describe('Key of the certificate, a PEM file.'),
		clientCa: path()
			.optional()
			.describe("PEM file of the authority that signs agents' certificates; with it an agent must bring one."),
		clientAuth: oneOf('agents', 'all', 'optional')
			.default('agents')
			.describe(
				'Who must bring a certificate of clientCa: `agents`; `all`, apps too; `optional`, nobody, but one that is brought must be right.',
			),
		bindIdentity: boolean()
			.default(false)
			.describe(
				"Whether an agent's certificate must be for its token's name: one of its DNS names or URIs, without any its common name.",
			),
		agentHost: host()
			.optional()
			.describe('Address that agents connect to, if not where applications do; hub.host if left out.'),
		agentPort: port()
			.optional()
			.describe(
				'Port that agents connect to, and applications then cannot; 0 is any free one. Agents share hub.port if left out.',
			),
		trustedProxies: listOf(checkNetwork, { mayBeEmpty: true })
			.default([])
			.describe(
				'Proxies before the hub whose X-Forwarded-* and Forwarded are believed: IP addresses, CIDR blocks, `loopback`, `private`.',
			),
		proxyProtocol: boolean()
			.default(false)
			.describe('Whether connections of those proxies begin with a PROXY header, version 1 or 2.'),
		cors: cors.describe('What browsers are told about requests of other origins.'),
		adminHost: host().default('127.0.0.1').describe('Address of the admin listener.'),
		adminPort: portOrOff().default(8081).describe('Port of the admin listener; 0 is any free one, `off` opens none.'),
		adminToken: bearerToken()
			.optional()
			.describe(
				'What whoever uses /metrics or /api on the admin listener must present; needed if that is not on loopback.',
			),
		adminTokenFile: path().optional().describe('A file with the admin token.'),
		readyNeedsAgent: boolean().default(false).describe('Whether /readyz answers 503 while no agent is connected.'),
		auditLog: boolean()
			.default(false)
			.describe(
				"Whether agents' handshakes and what operators do by the admin listener get a line in the log, whatever log.level is.",
			),
		accessLog: accessLog.describe('Which requests get a line in the log, and what it says.'),
		stateDir: path().optional().describe('Folder where the hub keeps what must survive a restart.'),
		queue: queue.describe('Which requests wait for a worker, how many, how long.'),
		heartbeat: heartbeat.describe('How a dead tunnel is noticed.'),
		setAsideAfter: integer(0)
			.default(5)
			.describe(
				"Requests in a row that an agent's upstream has to fail until others are preferred to it for a while; 0 for never.",
			),
		setAsideLast: boolean()
			.default(false)
			.describe(
				'Whether agents whose upstreams fail, or fail their health checks, are left alone also when there are no others.',
			),
		slowStart: duration().default(10_000).describe('How long others are preferred to an agent that has come back.'),
		tokenExpiry: oneOf('finish', 'close')
			.default('finish')
			.describe(
				'What becomes of the tunnel of an agent whose token expires: `finish`, its requests may end; `close`, they are cut.',
			),
		retryIdempotent: boolean()
			.default(false)
			.describe(
				'Whether an idempotent request without a body is sent once more when its agent was lost before it answered.',
			),
		firstByteTimeout: duration(1)
			.default(600_000)
			.describe("From a request's dispatch to the first byte of its response."),
		startGrace: duration()
			.optional()
			.describe(
				'For how long from the start requests wait for agents even if they did not ask to; 10s if systemd passed the socket, else 0s.',
			),
		drainTimeout: duration()
			.default(30_000)
			.describe('How long requests in progress may take to finish when the hub stops.'),
		maxConnections: integer(1).default(10_000).describe('Most connections at a time.'),
		maxConnectionsPerAddress: integer(0)
			.default(0)
			.describe('Most connections of one address at a time; 0 is no limit. Trusted proxies have none.'),
		maxRequestsPerConnection: integer(0)
			.default(0)
			.describe("Requests after which an app's connection is closed; 0 is no limit."),
		headersTimeout: duration(LEAST_TIMEOUT)
			.default(15_000)
			.describe("How long a request's headers may take to arrive; also a connection's first byte, and a PROXY header."),
		keepAliveTimeout: duration(LEAST_TIMEOUT).default(75_000).describe("How long an app's connection may be idle."),
		handshakeTimeout: duration(LEAST_TIMEOUT).default(15_000).describe('How long a TLS handshake may take.'),
		upgrades: listOf(checkUpgrade, { mayBeEmpty: true })
			.default([])
			.describe('Protocols that applications may switch to by Upgrade, beside WebSocket.'),
	})
	.prefault({});
