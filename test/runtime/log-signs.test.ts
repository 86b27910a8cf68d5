import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type LogSigns, NO_SIGNS, readSigns } from '../../runtime/sidecar/probes/log-signs.ts'
import { follow, type Progress, stallReason } from '../../runtime/sidecar/probes/stall.ts'

const TABLE: { title: string; lines: string[]; signs: Partial<LogSigns> }[] = [
  {
    title: 'a run without trouble',
    lines: ['got prompt', 'Requested to load SDXL', 'Prompt executed in 1.23 seconds', 'Prompt executed in 00:11:02'],
    signs: { promptsDone: 2, outOfMemory: 0, fault: null, activity: 3 },
  },
  {
    title: 'what clients do is no progress',
    lines: [
      'got prompt',
      '',
      'invalid prompt: {}',
      'INFO:     127.0.0.1:4242 - "GET /sdapi/v1/progress HTTP/1.1" 200 OK',
    ],
    signs: { activity: 0 },
  },
  {
    title: 'one job of ComfyUI that names its lack of memory four times',
    lines: [
      '!!! Exception during processing !!! Allocation on device ',
      'Traceback (most recent call last):',
      'torch.OutOfMemoryError: Allocation on device ',
      'Got an OOM, unloading all loaded models.',
      'Prompt executed in 0.50 seconds',
    ],
    signs: { outOfMemory: 1, promptsDone: 1, fault: null },
  },
  {
    title: 'two jobs that ran out of memory',
    lines: [
      'torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.',
      'Prompt executed in 0.50 seconds',
      'RuntimeError: CUDA error: out of memory',
      'Prompt executed in 0.40 seconds',
    ],
    signs: { outOfMemory: 2, fault: null },
  },
  {
    title: 'a CUDA fault, and the first one is told',
    lines: [
      'RuntimeError: CUDA error: an illegal memory access was encountered',
      'torch.AcceleratorError: CUDA error: unspecified launch failure',
    ],
    signs: { fault: 'RuntimeError: CUDA error: an illegal memory access was encountered' },
  },
]

for (const { title, lines, signs } of TABLE) {
  test(`a log shows ${title}`, () => {
    const read = readSigns(NO_SIGNS, lines)
    for (const [key, value] of Object.entries(signs)) assert.equal(read[key as keyof LogSigns], value, key)
  })
}

const FAULTS = [
  'CUDA error: device-side assert triggered',
  '/pytorch/aten/src/ATen/native/cuda/Indexing.cu:1255: Assertion `i < n` failed. device-side assert triggered',
  'CUDA error: uncorrectable ECC error encountered',
  'CUDA error: misaligned address',
  'CUDA error: the launch timed out and was terminated',
  'NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen off the bus.',
  'Unable to determine the device handle for GPU 0000:3B:00.0: GPU is lost.  Reboot the system to recover this GPU',
]

for (const line of FAULTS) {
  test(`a CUDA fault: ${line}`, () => assert.is(readSigns(NO_SIGNS, [line]).fault, line))
}

const HARMLESS = [
  'CUDA error: out of memory',
  'CUDA error: no kernel image is available for execution on the device',
  'CUDA error: invalid device ordinal',
  'For debugging consider passing CUDA_LAUNCH_BLOCKING=1',
  'Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.',
  'Set cuda device to: 0',
]

for (const line of HARMLESS) {
  test(`no CUDA fault: ${line}`, () => assert.is(readSigns(NO_SIGNS, [line]).fault, null))
}

const after = (looks: readonly [job: string | null, mark: string, atMs: number][]) =>
  looks.reduce<Progress | null>((before, [job, mark, atMs]) => follow(before, job, mark, atMs), null)

test('work hangs when neither the job nor its mark change for long enough', () => {
  const stuck = after([
    ['a', '1', 0],
    ['a', '1', 500],
  ])
  assert.is(stallReason(stuck, 1000, 999), null)
  assert.is(stallReason(stuck, 1000, 1000), 'a has made no progress for 1 s')
})

test('a new mark, a new job and an empty queue begin anew', () => {
  for (const next of [
    ['a', '2', 900],
    ['b', '1', 900],
  ] as const) {
    assert.is(stallReason(after([['a', '1', 0], [...next]]), 1000, 1500), null)
  }
  assert.is(
    stallReason(
      after([
        ['a', '1', 0],
        [null, '1', 900],
      ]),
      1000,
      5000,
    ),
    null,
  )
})

test('nobody who does not want to know is told of work that hangs', () => {
  const stuck = after([['a', '1', 0]])
  assert.is(stallReason(stuck, 0, 1e9), null)
  assert.is(stallReason(stuck, undefined, 1e9), null)
})

test.run()
