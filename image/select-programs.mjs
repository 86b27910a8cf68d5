/**
 * select-programs.mjs TREE DIRECTORY: makes a directory for each program that an image can have, with a file in it where
 * the plan of the tree needs it. Image layers depend on these directories alone, not on the machine file.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'

const [tree, directory] = process.argv.slice(2)
const plan = JSON.parse(readFileSync(`${tree}/etc/machinegen/plan.json`, 'utf8'))
const has = (type) => plan.services.some((service) => service.type === type)
const runs = (program) => plan.services.some(({ command }) => command[0] === program)
const provisions = (name) => plan.services.some((service) => service.name === name)

/** Debian's packages, and when they are needed. curl and certificates are for people and for downloads. */
const packages = {
  'ca-certificates': true,
  curl: true,
  'nginx-light': has('nginx'),
  git: ['comfyui', 'automatic1111'].some((type) => has(type) && !plan.simulate) || plan.provisioning.git !== null,
  'openssh-client': plan.provisioning.git?.protocols.includes('ssh') ?? false,
  'openssh-server': provisions('sshd'),
  rclone: (plan.provisioning.models?.entries ?? plan.provisioning.models ?? []).some?.(({ url }) => /^(s3|gs|az):/.test(url)) ?? false,
  libgl1: has('comfyui') && !plan.simulate,
  'libglib2.0-0': has('comfyui') && !plan.simulate,
}
const programs = {
  comfyui: !plan.simulate && has('comfyui') && !runs('none'),
  automatic1111: !plan.simulate && has('automatic1111'),
  ollama: !plan.simulate && has('ollama'),
}

mkdirSync(`${directory}/packages`, { recursive: true })
for (const [name, wanted] of Object.entries(packages)) if (wanted) writeFileSync(`${directory}/packages/${name}`, '')
for (const [name, wanted] of Object.entries(programs)) {
  mkdirSync(`${directory}/${name}`, { recursive: true })
  if (wanted) writeFileSync(`${directory}/${name}/wanted`, '')
}
