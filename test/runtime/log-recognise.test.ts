import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createEntryReader } from '../../runtime/shared/logs/entry-reader.ts'
import type { LogLevel } from '../../runtime/shared/logs/log-level.ts'
import { type RecognisedLine, recognise } from '../../runtime/shared/logs/recognise.ts'

const SOURCE = { service: 'app', gpu: 0, directory: '/logs/app', isAccessLog: false }

/** What lines, as a program prints them, are read as. */
function readAll(text: string): RecognisedLine[] {
  const reader = createEntryReader()
  const entries = [...reader.push(Buffer.from(`${text}\n`).toString('latin1')), ...reader.end()]
  return entries.map((entry) => recognise(entry, SOURCE))
}

function read(text: string): RecognisedLine {
  const lines = readAll(text)
  assert.is(lines.length, 1, `${lines.length} lines of ${text}`)
  return lines[0]!
}

const TEXT_LEVELS: readonly (readonly [string, LogLevel])[] = [
  // ComfyUI and its custom nodes
  ['Total VRAM 24564 MB, total RAM 128527 MB', 'info'],
  ['got prompt', 'info'],
  ['Prompt executed in 3.21 seconds', 'info'],
  ['To see the GUI go to: http://127.0.0.1:8188', 'info'],
  ['   0.0 seconds: /workspace/ComfyUI/custom_nodes/websocket_image_save.py', 'info'],
  ['   1.2 seconds (IMPORT FAILED): /workspace/ComfyUI/custom_nodes/ComfyUI-Broken', 'error'],
  ['Cannot import /workspace/ComfyUI/custom_nodes/x module for custom nodes: No module named "cv2"', 'error'],
  ['!!! Exception during processing !!! CUDA error: an illegal memory access was encountered', 'error'],
  ['[INFO] ComfyUI-Manager: per-queue preview method enabled', 'info'],
  ['[ComfyUI-Manager] WARNING: config.ini is not found', 'warn'],
  ['WARNING: You need pytorch with cu128 or higher to use optimized CUDA operations.', 'warn'],
  ['[DEBUG] Potential memory leak', 'debug'],
  ['### Loading: ComfyUI-Impact-Pack (V8.8)', 'info'],
  ['FETCH ComfyRegistry Data: 5/57', 'info'],
  ['ERROR lora key not loaded: lora_unet_down_blocks.weight', 'error'],
  ['invalid prompt: {"type": "prompt_no_outputs", "message": "Prompt has no outputs"}', 'info'],
  // Automatic1111
  ['Loading weights [6ce0161689] from /models/v1-5-pruned-emaonly.safetensors', 'info'],
  ['2026-01-31 12:00:00,123 - ControlNet - INFO - ControlNet v1.1.455', 'info'],
  ['2026-01-31 12:00:00,123 - ControlNet - ERROR - model not found', 'error'],
  ['*** Error loading script: controlnet.py', 'error'],
  ['INFO:     127.0.0.1:52368 - "GET /sdapi/v1/progress HTTP/1.1" 200 OK', 'info'],
  ['ERROR:    Exception in ASGI application', 'error'],
  ['torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.', 'error'],
  // python's logging and loguru
  ['WARNING:root:disk is almost full', 'warn'],
  ['CRITICAL:worker:gave up', 'error'],
  ['2026-01-31 12:00:00.123 | WARNING  | app.core:run:12 - slow', 'warn'],
  ['[2026-01-31 12:00:00,123][ERROR] cannot connect', 'error'],
  ['[2026-01-31 12:00:00 +0000] [17] [INFO] Listening at: http://0.0.0.0:8000 (17)', 'info'],
  ['12:00:00 ERROR    handler failed', 'error'],
  // nginx
  ['2026/01/31 12:00:00 [error] 31#31: *7 connect() failed (111: Connection refused) while connecting', 'error'],
  ['2026/01/31 12:00:00 [warn] 31#31: *7 a client request body is buffered', 'warn'],
  ['2026/01/31 12:00:00 [notice] 1#1: start worker processes', 'info'],
  ['2026/01/31 12:00:00 [emerg] 1#1: bind() to 0.0.0.0:80 failed (98: Address already in use)', 'error'],
  // Ollama
  ['[GIN] 2026/01/31 - 12:00:00 | 200 |   12.3ms |       127.0.0.1 | GET      "/api/tags"', 'info'],
  ['[GIN] 2026/01/31 - 12:00:00 | 500 |   12.3ms |       127.0.0.1 | POST     "/api/generate"', 'error'],
  ['ggml_cuda_init: found 1 CUDA devices:', 'info'],
  ['CUDA error: out of memory', 'error'],
  ['Error: listen tcp 127.0.0.1:11434: bind: address already in use', 'error'],
  // workers, node, redis, TensorFlow, s6
  ['2026-01-31T12:00:00.123Z [worker] takes job 7', 'info'],
  ['2026-01-31T12:00:00.123Z [worker] cannot reach Redis: connect ECONNREFUSED', 'error'],
  ['2026-01-31T12:00:00.123Z ERROR worker::queue: lost the hub', 'error'],
  ['[2026-01-31T12:00:00.123Z] error: job failed', 'error'],
  ['(node:12) [DEP0040] DeprecationWarning: The `punycode` module is deprecated.', 'warn'],
  ['npm ERR! code ENOENT', 'error'],
  ['12:M 31 Jan 2026 12:00:00.123 # WARNING Memory overcommit must be enabled!', 'warn'],
  ['12:M 31 Jan 2026 12:00:00.123 * Ready to accept connections tcp', 'info'],
  ['W0131 12:00:00.123456   123 gpu_device.cc:2256] Cannot dlopen some GPU libraries.', 'warn'],
  ['I0000 00:00:1738324800.123456   12 service.cc:148] XLA service', 'info'],
  ['E0131 12:00:00.123456   123 cuda_dnn.cc:9261] Unable to register cuDNN factory', 'error'],
  ['s6-log: fatal: unable to write: No space left on device', 'error'],
  ['cannot start comfyui-gpu0: "/workspace/ComfyUI/main.py" does not exist', 'error'],
  ['Segmentation fault (core dumped)', 'error'],
  // Words that are no levels
  ['no errors found, 0 warnings', 'info'],
  ['information about the error handling', 'info'],
  ['Loaded model "Error (v2)" from disk', 'info'],
]

for (const [text, level] of TEXT_LEVELS) {
  test(`level ${level}: ${text.slice(0, 70)}`, () => {
    const line = read(text)
    assert.is(line.level, level)
    assert.is(line.message, text, 'the text stays as it is')
  })
}

test("pino's lines: numbers are levels, everything else is context", () => {
  const line = read('{"level":50,"time":1769860800123,"pid":12,"hostname":"h","reqId":"r-1","msg":"cannot read"}')
  const { level, message, context, correlationId, timeMs } = line
  assert.equal(
    { level, message, context, correlationId, timeMs },
    {
      level: 'error',
      message: 'cannot read',
      context: { pid: 12, hostname: 'h', reqId: 'r-1' },
      correlationId: 'r-1',
      timeMs: 1769860800123,
    },
  )
})

test("the sidecar's own lines come back as they were written", () => {
  const line = read(
    '{"level":"warn","timestamp":"2026-01-31T12:00:00.000Z","service":"app","gpu":null,"correlationId":"b1","context":{"service":"x"},"message":"restarts"}',
  )
  assert.is(line.message, 'restarts')
  assert.is(line.level, 'warn')
  assert.is(line.correlationId, 'b1')
  assert.equal(line.context, { service: 'x' }, 'the service that it speaks of')
  assert.is(line.timeMs, Date.UTC(2026, 0, 31, 12))
})

const STRUCTURED: readonly (readonly [string, string, LogLevel, string, string | null])[] = [
  [
    'winston',
    '{"level":"warn","message":"slow","timestamp":"2026-01-31T12:00:00Z","jobId":"j9"}',
    'warn',
    'slow',
    'j9',
  ],
  ['structlog', '{"event":"job done","level":"info","prompt_id":"p-1"}', 'info', 'job done', 'p-1'],
  [
    'python-json-logger',
    '{"asctime":"2026-01-31 12:00:00,1","levelname":"CRITICAL","message":"x"}',
    'error',
    'x',
    null,
  ],
  ['google', '{"severity":"WARNING","message":"quota","trace_id":"t1"}', 'warn', 'quota', 't1'],
  ['zap', '{"level":"debug","ts":1769860800.5,"caller":"a.go:1","msg":"tick"}', 'debug', 'tick', null],
  [
    'tracing',
    '{"timestamp":"2026-01-31T12:00:00Z","level":"ERROR","fields":{"message":"no","code":1}}',
    'error',
    'no',
    null,
  ],
  ['access log', '{"requestId":"abc","method":"GET","path":"/x","status":502}', 'error', 'GET /x 502', 'abc'],
  ['logfmt', 'time=2026-01-31T12:00:00.1Z level=WARN source=routes.go:1 msg="no \\"GPU\\""', 'warn', 'no "GPU"', null],
  ['no level', '{"msg":"ERROR: inside"}', 'error', 'ERROR: inside', null],
  ['request id in text', 'handles request_id=77-a now', 'info', 'handles request_id=77-a now', '77-a'],
]

for (const [name, text, level, message, correlationId] of STRUCTURED) {
  test(`a line of ${name} is read`, () => {
    const line = read(text)
    assert.equal([line.level, line.message, line.correlationId], [level, message, correlationId])
  })
}

test('JSON that is no object, or broken, is text', () => {
  for (const text of ['[1,2]', '{"level":"error"', '{broken}', '"text"', '12']) assert.is(read(text).message, text)
})

test('colours, titles and control characters are not shown, in structured lines neither', () => {
  assert.is(read('\x1b[1;31mERROR\x1b[0m \x1b]0;title\x07it \x1b[38;5;208mfailed\x1b[K').message, 'ERROR it failed')
  assert.is(read('\x1b[1;31mERROR\x1b[0m failed').level, 'error')
  assert.is(read('{"msg":"\\u001b[32mgreen\\u001b[39m"}').message, 'green')
})

test('of a progress bar only the last state is left', () => {
  const bar = '\r  0%|          | 0/20\r 50%|█████     | 10/20\r100%|██████████| 20/20 [00:03<00:00,  6.10it/s]'
  assert.is(read(bar).message, '100%|██████████| 20/20 [00:03<00:00,  6.10it/s]')
  assert.is(read('line of windows\r').message, 'line of windows')
})

const FRAME = '  File "/app/run.py", line 7, in run\n    work(x)\n         ^'

test('a traceback is one error with all of its lines, and what is around it is not in it', () => {
  const trace = `Traceback (most recent call last):\n${FRAME}\nmy.own.Failure: no`
  const lines = readAll(`before\n${trace}\n\nafter\n  indented\nINFO: end`)
  assert.equal(
    lines.map(({ message, level }) => [message, level]),
    [
      ['before', 'info'],
      [trace, 'error'],
      ['after', 'info'],
      ['  indented', 'info'],
      ['INFO: end', 'info'],
    ],
  )
})

test('tracebacks that caused each other are one error; those that did not are two', () => {
  const one = `Traceback (most recent call last):\n${FRAME}\nKeyError: 1`
  const chain = `${one}\n\nDuring handling of the above exception, another exception occurred:\n\n${one}`
  assert.is(read(chain).message, chain)
  assert.is(readAll(`${one}\n${one}`).length, 2)
  assert.is(readAll(`${one}\n\n${one}`).length, 2)
})

test('what CUDA, torch and exception groups add stays with their error', () => {
  const cuda = `Traceback (most recent call last):\n${FRAME}\nRuntimeError: CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1\nCompile with \`TORCH_USE_CUDA_DSA\` to enable device-side assertions.`
  assert.is(read(`${cuda}\n`).message, cuda)
  const state = `Traceback (most recent call last):\n${FRAME}\nRuntimeError: Error(s) in loading state_dict for Net:\n\tMissing key(s) in state_dict: "a".\n\tUnexpected key(s): "b".`
  assert.is(read(state).message, state)
  const group = `  + Exception Group Traceback (most recent call last):\n  |   File "x.py", line 1, in <module>\n  | ExceptionGroup: two (2 sub-exceptions)\n  +-+---------------- 1 ----------------\n    | ValueError: a\n    +------------------------------------`
  assert.equal(
    readAll(`${group}\nnext`).map(({ message }) => message),
    [group, 'next'],
  )
  assert.is(read(group).level, 'error')
})

test("Automatic1111's report of an error is one error", () => {
  const report = `*** Error loading script: x.py\n    Traceback (most recent call last):\n      File "/app/scripts.py", line 515, in load\n        run()\n    ModuleNotFoundError: No module named 'x'`
  assert.equal(
    readAll(`starts\n${report}\n\n---\nnext`).map(({ message, level }) => [message, level]),
    [
      ['starts', 'info'],
      [report, 'error'],
      ['---', 'info'],
      ['next', 'info'],
    ],
  )
})

test('a stack of node is one error with the line before it and the properties after it', () => {
  const stack = `Error: connect ECONNREFUSED 127.0.0.1:6379\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16) {\n  errno: -111,\n  code: 'ECONNREFUSED'\n}`
  assert.equal(
    readAll(`starts\n${stack}\nnext`).map(({ message, level }) => [message, level]),
    [
      ['starts', 'info'],
      [stack, 'error'],
      ['next', 'info'],
    ],
  )
})

test('a line of another thread in the middle of a traceback is a line of its own', () => {
  const lines = readAll(
    `Traceback (most recent call last):\n${FRAME}\n{"level":"info","msg":"tick"}\nINFO: tock\nValueError: x`,
  )
  assert.equal(
    lines.map(({ level }) => level),
    ['error', 'info', 'info', 'error'],
  )
})

test('a warning of python keeps the line of the program, and is no more than a warning', () => {
  const warning = '/app/x.py:12: FutureWarning: `a` is deprecated\n  warnings.warn('
  const line = read(warning)
  assert.is(line.message, warning)
  assert.is(line.level, 'warn')
})

test('a traceback without end is cut in the middle, and its exception is kept', () => {
  const trace = `Traceback (most recent call last):\n${`${FRAME}\n`.repeat(20_000)}RecursionError: deep`
  const { message } = read(trace)
  assert.ok(message.length < 70_000)
  assert.ok(message.startsWith('Traceback') && message.endsWith('RecursionError: deep'))
  assert.match(message, /\[\.\.\. \d+ bytes left out\]/)
})

test('a field that says the same as the source is not repeated, one that says another thing is kept', () => {
  assert.is(read('{"msg":"x","service":"app","gpu":0}').context, null)
  assert.equal(read('{"msg":"x","service":"other","gpu":1}').context, { service: 'other', gpu: 1 })
})

test.run()
