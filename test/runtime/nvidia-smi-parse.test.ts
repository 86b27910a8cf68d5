import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { matchGpus } from '../../runtime/sidecar/resources/match-gpus.ts'
import {
  GPU_FIELDS,
  type GpuRow,
  parseGpuTable,
  parseMigDevices,
  parseProcesses,
  unknownField,
} from '../../runtime/sidecar/resources/parse-nvidia-smi.ts'
import { simulateNvidiaSmi } from '../../runtime/sidecar/resources/simulated-nvidia-smi.ts'
import { gpuFixture } from '../fixtures/plan-fixture.ts'

const UUID0 = 'GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77'
const UUID1 = 'GPU-8b1cf6ab-0a3b-7c9e-3a1f-77f0a4c0b1de'
const RTX = `0, ${UUID0}, 00000000:3B:00.0, NVIDIA GeForce RTX 4090, 97, 24564, 21043, 71, 412.35, 450.00, [N/A], [N/A]`
const A100 = `1, ${UUID1}, 00000000:AF:00.0, NVIDIA A100-SXM4-80GB, 3, 81920, 4, 33, 61.02, 400.00, 2, Disabled`

const row = (fields: Partial<GpuRow>): GpuRow => ({
  index: 0,
  uuid: null,
  pciBus: null,
  name: null,
  utilization: null,
  memoryTotalBytes: null,
  memoryUsedBytes: null,
  temperatureCelsius: null,
  powerWatts: null,
  powerLimitWatts: null,
  eccUncorrected: null,
  mig: false,
  ...fields,
})

const TABLES: { title: string; text: string; rows: Partial<GpuRow>[]; problem?: RegExp }[] = [
  {
    title: 'two healthy cards, one with ECC',
    text: `${RTX}\n${A100}\n`,
    rows: [
      {
        index: 0,
        uuid: UUID0,
        pciBus: '0000:3b:00',
        name: 'NVIDIA GeForce RTX 4090',
        utilization: 0.97,
        memoryTotalBytes: 24564 * 1024 ** 2,
        memoryUsedBytes: 21043 * 1024 ** 2,
        temperatureCelsius: 71,
        powerWatts: 412.35,
        powerLimitWatts: 450,
      },
      {
        index: 1,
        uuid: UUID1,
        pciBus: '0000:af:00',
        name: 'NVIDIA A100-SXM4-80GB',
        utilization: 0.03,
        memoryTotalBytes: 80 * 1024 ** 3,
        memoryUsedBytes: 4 * 1024 ** 2,
        temperatureCelsius: 33,
        powerWatts: 61.02,
        powerLimitWatts: 400,
        eccUncorrected: 2,
      },
    ],
  },
  {
    title: 'MIG: use is not told, memory only to the privileged',
    text: `0, ${UUID1}, 00000000:07:00.0, NVIDIA H100 80GB HBM3, [N/A], [Insufficient Permissions], [Insufficient Permissions], 41, 121.40, 700.00, 0, Enabled\r\n`,
    rows: [
      {
        uuid: UUID1,
        pciBus: '0000:07:00',
        name: 'NVIDIA H100 80GB HBM3',
        temperatureCelsius: 41,
        powerWatts: 121.4,
        powerLimitWatts: 700,
        eccUncorrected: 0,
        mig: true,
      },
    ],
  },
  {
    title: 'an old card that tells little, with the words of several versions',
    text: `0, ${UUID0}, 00000000:01:00.0, Tesla K80, [Not Supported], 11441 MiB, 0 MiB, ERR!, [Unknown Error], N/A, [Not Supported], [N/A]`,
    rows: [
      {
        uuid: UUID0,
        pciBus: '0000:01:00',
        name: 'Tesla K80',
        memoryTotalBytes: 11441 * 1024 ** 2,
        memoryUsedBytes: 0,
      },
    ],
  },
  {
    title: 'a card that is lost between others',
    text: `${RTX}\n1, [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost]\n`,
    rows: [
      { uuid: UUID0, name: 'NVIDIA GeForce RTX 4090' },
      { index: 1, uuid: null, name: null, utilization: null },
    ],
  },
  {
    title: 'a card that fell off the bus, and one that is fine',
    text: `Unable to determine the device handle for GPU0000:AF:00.0: Unknown Error\n${RTX}\n`,
    rows: [{ uuid: UUID0 }],
    problem: /^Unable to determine the device handle for GPU0000:AF:00.0: Unknown Error$/,
  },
  {
    title: 'a warning about the infoROM before good rows',
    text: `${RTX}\nWARNING: infoROM is corrupted at gpu 0000:3B:00.0\n`,
    rows: [{ uuid: UUID0 }],
    problem: /infoROM is corrupted/,
  },
  {
    title: 'no driver',
    text: "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.\n",
    rows: [],
    problem: /couldn't communicate with the NVIDIA driver/,
  },
  {
    title: 'a driver of another version than its library',
    text: 'Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.90\n',
    rows: [],
    problem: /^Failed to initialize NVML: Driver\/library version mismatch NVML library version: 550.90$/,
  },
  { title: 'a driver without cards', text: 'No devices were found\n', rows: [] },
  { title: 'nothing', text: '', rows: [] },
  {
    title: 'a row that was cut off',
    text: `${RTX}\n1, ${UUID1}, 00000000:AF:00.0, NVIDIA A1`,
    rows: [{ uuid: UUID0 }],
    problem: /NVIDIA A1$/,
  },
]

for (const { title, text, rows, problem } of TABLES) {
  test(`nvidia-smi says: ${title}`, () => {
    const table = parseGpuTable(text)
    assert.is(table.rows.length, rows.length)
    for (const [place, expected] of rows.entries()) {
      const seen = table.rows[place]!
      for (const [key, value] of Object.entries(expected)) assert.is(seen[key as keyof GpuRow], value, key)
    }
    if (problem === undefined) assert.is(table.problem, null)
    else assert.match(table.problem ?? '', problem)
  })
}

test('a whole row of what is not told is a row of nulls', () => {
  const { rows } = parseGpuTable(`3${', [N/A]'.repeat(GPU_FIELDS.length - 1)}`)
  assert.equal(rows, [row({ index: 3 })])
})

test('no text makes the parser throw or say a number that is none', () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom('[N/A]', 'ERR!', '-1', 'NaN', '1e9', '0x10', ' 7 ', '7 MiB', '101'),
  )
  fc.assert(
    fc.property(fc.array(word, { maxLength: 14 }), (words) => {
      for (const each of parseGpuTable(words.join(', ')).rows) {
        for (const value of Object.values(each)) if (typeof value === 'number') assert.ok(value >= 0 && value < 1e18)
        assert.ok((each.utilization ?? 0) <= 1)
      }
      parseProcesses(words.join(', '))
      parseMigDevices(words.join('\n'))
    }),
  )
})

test('processes are read, hidden figures are null, and anything else is no list', () => {
  assert.equal(parseProcesses(`4242, 20480, ${UUID0}\n4243, [N/A], ${UUID1}\n`), [
    { pid: 4242, usedBytes: 20 * 1024 ** 3, gpuUuid: UUID0 },
    { pid: 4243, usedBytes: null, gpuUuid: UUID1 },
  ])
  assert.equal(parseProcesses(''), [])
  assert.equal(parseProcesses('No devices were found\n'), [])
  assert.is(parseProcesses("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n"), null)
})

test('a field that this version does not know is named', () => {
  assert.is(unknownField('Field "mig.mode.current" is not a valid field to query.\n'), 'mig.mode.current')
  assert.is(unknownField(RTX), null)
})

const GPU_LIST = `GPU 0: NVIDIA A100-SXM4-80GB (UUID: ${UUID0})
GPU 1: NVIDIA A100-SXM4-80GB (UUID: ${UUID1})
  MIG 3g.40gb     Device  0: (UUID: MIG-1f4bd7ff-6c7f-5c6d-9c4c-2a2f3b0f3a11)
  MIG 1g.10gb     Device  1: (UUID: MIG-77aa12f0-0d5c-5a9b-8a4e-0c6e4d7f1b22)
`

const planned = (...devices: string[]) =>
  devices.map((device, index) => ({ ...gpuFixture(index), device, mock: false, memoryGB: 24 }))

const MATCHES: { title: string; devices: string[]; names: (string | null)[]; missing: number[] }[] = [
  { title: 'by index', devices: ['0', '1'], names: ['zero', 'one'], missing: [] },
  { title: 'by index, in another order', devices: ['1', '0'], names: ['one', 'zero'], missing: [] },
  { title: 'by UUID', devices: [UUID1], names: ['one'], missing: [] },
  { title: 'by the beginning of a UUID, whatever its case', devices: ['GPU-8B1CF6AB'], names: ['one'], missing: [] },
  { title: 'fewer than declared', devices: ['0', '1', '2', '3'], names: ['zero', 'one'], missing: [2, 3] },
  { title: 'a UUID that is not here', devices: ['GPU-0', '0'], names: ['zero'], missing: [0] },
  { title: 'a MIG device', devices: ['MIG-77aa12f0-0d5c-5a9b-8a4e-0c6e4d7f1b22'], names: ['one'], missing: [] },
  { title: 'a MIG device that is gone', devices: ['MIG-00000000'], names: [], missing: [0] },
]

for (const { title, devices, names, missing } of MATCHES) {
  test(`GPUs of a plan are found: ${title}`, () => {
    const rows = [row({ index: 0, uuid: UUID0, name: 'zero' }), row({ index: 1, uuid: UUID1, name: 'one' })]
    const matched = matchGpus(planned(...devices), rows, parseMigDevices(GPU_LIST), () => null)
    assert.equal(
      matched.gpus.map(({ name }) => name),
      names,
    )
    assert.equal(matched.missing, missing)
    const indices = planned(...devices).map(({ index }) => index)
    assert.equal(
      matched.gpus.map(({ index }) => index),
      indices.filter((index) => !missing.includes(index)),
    )
  })
}

test('a MIG device has the heat of its GPU, but not its memory', () => {
  const rows = [row({ index: 1, uuid: UUID1, temperatureCelsius: 60, memoryUsedBytes: 5, utilization: 0.5 })]
  const device = 'MIG-1f4bd7ff-6c7f-5c6d-9c4c-2a2f3b0f3a11'
  const [reading] = matchGpus(planned(device), rows, parseMigDevices(GPU_LIST), () => 3).gpus
  assert.is(reading!.temperatureCelsius, 60)
  assert.is(reading!.memoryUsedBytes, null)
  assert.is(reading!.utilization, null)
  assert.is(reading!.uuid, device)
  assert.is(reading!.xidErrors, 3)
  assert.ok(reading!.mig)
})

test('a simulated nvidia-smi is read by the same parser, and follows the load', async () => {
  const gpus = [gpuFixture(0), { ...gpuFixture(1), device: UUID1 }]
  const run = simulateNvidiaSmi(
    gpus,
    (gpu) => gpu,
    () => 0,
  )
  const output = await run([`--query-gpu=${GPU_FIELDS.join(',')}`, '--format=csv,noheader,nounits'])
  const { rows, problem } = parseGpuTable(output.kind === 'text' ? output.text : '')
  assert.is(problem, null)
  const [idle, busy] = matchGpus(gpus, rows, new Map(), () => null).gpus
  assert.is(idle!.utilization, 0)
  assert.ok(busy!.utilization! > 0.8)
  assert.ok(busy!.memoryUsedBytes! > idle!.memoryUsedBytes! * 10)
  assert.ok(busy!.powerWatts! > idle!.powerWatts!)
  assert.is(busy!.uuid, UUID1)
  assert.ok(busy!.mock)
})

test.run()
