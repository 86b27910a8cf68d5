import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { checkDirectory } from '../../generator/check/check-directory.ts'
import { findingsOf } from '../../generator/check/check-tree.ts'
import { compileVerdict } from '../../generator/check/compile-verdict.ts'
import { readSourceTree } from '../../generator/check/read-source-tree.ts'
import { absent, bundle, type Files, longrun, oneshot, writeTree } from './check-files.ts'

/** Title, files, expected codes, and whether s6-rc-compile accepts the tree. */
type Case = readonly [title: string, files: Files, codes: readonly string[], accepted: boolean]

const PIPED = '#!/bin/sh\nexec 2>&1\nexec sleep 9\n'
const PIPE = {
  ...longrun('app', { 'producer-for': 'app-log\n', run: PIPED }),
  ...longrun('app-log', { 'consumer-for': 'app\n', 'pipeline-name': 'app-pipeline\n' }),
}
const READY = { 'notification-fd': '3\n', 'timeout-up': '9000\n' }

const NAMES: Case[] = [
  ['a reserved service name', longrun('s6rc-foo'), ['S6_BAD_NAME'], false],
  ['the other reserved prefix', longrun('s6-rc-foo'), ['S6_BAD_NAME'], false],
  ['a plain file with a reserved name', { ...longrun('a'), 's6rc-notes': '' }, ['S6_BAD_NAME'], false],
  ['a newline in a name', longrun('a\nb'), ['S6_BAD_NAME'], false],
  ['a newline in the name of a plain file', { ...longrun('a'), 'no\nte': '' }, ['S6_BAD_NAME'], false],
  ['a space in a name', longrun('my app'), ['S6_BAD_NAME'], true],
  ['plain files and dot directories beside services', { ...longrun('a'), README: '', '.git/HEAD': '' }, [], true],
  [
    'a dependency on s6-rc itself',
    longrun('a', { 'dependencies.d/s6rc-fdholder': '' }),
    ['S6_BAD_NAME', 'S6_UNDEFINED_DEPENDENCY'],
    false,
  ],
  [
    'a name in two sources',
    { ...under('one', longrun('a')), ...under('two', longrun('a')) },
    ['S6_DUPLICATE_NAME'],
    false,
  ],
]

const TYPES: Case[] = [
  ['no type', { ...longrun('a', { type: absent }), ...longrun('b') }, ['S6_BAD_TYPE'], false],
  ['an unknown type', longrun('a', { type: 'daemon\n' }), ['S6_BAD_TYPE'], false],
  ['an empty type', longrun('a', { type: '' }), ['S6_BAD_TYPE'], false],
  ['CRLF in type', longrun('a', { type: 'longrun\r\n' }), ['S6_BAD_TYPE'], false],
  [
    'CRLF in the type of a bundle',
    { ...longrun('a'), ...bundle('b', ['a'], { type: 'bundle\r\n' }) },
    ['S6_BAD_TYPE'],
    false,
  ],
  ['a byte order mark in type', longrun('a', { type: '\uFEFFlongrun\n' }), ['S6_BAD_TYPE'], false],
  ['a blank after the type', longrun('a', { type: 'longrun \n' }), ['S6_BAD_TYPE'], false],
  ['a type without a newline', longrun('a', { type: 'longrun' }), [], true],
  ['a second line in type', longrun('a', { type: 'longrun\nplease\n' }), [], true],
  [
    'a second line in the type of a bundle',
    { ...longrun('a'), ...bundle('b', ['a'], { type: 'bundle\n\n' }) },
    ['S6_BAD_TYPE'],
    false,
  ],
  ['an empty directory among the services', { ...longrun('a'), 'empty/': '' }, ['S6_BAD_TYPE'], false],
  [
    'a dangling link as type',
    { ...longrun('a'), ...longrun('b', { type: '-> nowhere' }) },
    ['S6_BAD_TYPE', 'S6_UNREADABLE'],
    false,
  ],
]

const FILES: Case[] = [
  ['no run', longrun('a', { run: absent }), ['S6_MISSING_FILE'], false],
  ['no up', oneshot('a', { up: absent }), ['S6_MISSING_FILE'], false],
  ['a bundle without contents', { ...longrun('a'), 'b/type': 'bundle\n' }, ['S6_MISSING_FILE'], false],
  [
    'a bundle with an empty contents.d',
    { ...longrun('a'), 'b/type': 'bundle\n', 'b/contents.d/': '' },
    ['S6_EMPTY_BUNDLE'],
    true,
  ],
  ['a bundle that git keeps', { ...longrun('a'), 'b/type': 'bundle\n', 'b/contents.d/.gitkeep': '' }, [], true],
  ['a bundle by the old file', { ...longrun('a'), 'b/type': 'bundle\n', 'b/contents': '# all\n a\n' }, [], true],
  ['run as a directory', longrun('a', { run: absent, 'run/x': '' }), ['S6_WRONG_FILE_KIND'], false],
  ['finish as a directory', longrun('a', { 'finish/x': '' }), ['S6_WRONG_FILE_KIND'], false],
  ['dependencies.d as a file', longrun('a', { 'dependencies.d': 'b\n' }), ['S6_WRONG_FILE_KIND'], false],
  ['env as a file', longrun('a', { env: 'A=1\n' }), ['S6_WRONG_FILE_KIND'], false],
  ['data as a file', longrun('a', { data: '' }), ['S6_WRONG_FILE_KIND'], false],
  ['a timeout as a directory', longrun('a', { 'timeout-up/x': '' }), ['S6_WRONG_FILE_KIND'], false],
  ['up as a directory', oneshot('a', { up: absent, 'up/x': '' }), ['S6_WRONG_FILE_KIND'], false],
  [
    'type as a directory',
    { ...longrun('b'), ...longrun('a', { type: absent, 'type/x': '' }) },
    ['S6_WRONG_FILE_KIND'],
    false,
  ],
  ['a down-signal as a directory', longrun('a', { 'down-signal/x': '' }), ['S6_WRONG_FILE_KIND'], true],
  ['stray files', longrun('a', { README: '', 'log/run': '', down: '' }), ['S6_STRAY_FILE'], true],
  ['files of another kind of service', oneshot('a', { run: '', 'notification-fd': 'x' }), ['S6_STRAY_FILE'], true],
  [
    'names that every object has',
    { ...longrun('constructor', { toString: '' }), ...longrun('__proto__') },
    ['S6_STRAY_FILE'],
    true,
  ],
  [
    'dependencies of a bundle',
    { ...longrun('a'), ...bundle('b', ['a'], { 'dependencies.d/nothing': '' }) },
    ['S6_STRAY_FILE'],
    true,
  ],
  ['a dangling service', { ...longrun('a'), b: '-> nowhere' }, ['S6_UNREADABLE'], false],
  ['a dangling timeout', longrun('a', { 'timeout-up': '-> nowhere' }), ['S6_UNREADABLE'], true],
  ['a service behind a link', { ...longrun('.real/a'), a: '-> .real/a', ...longrun('b') }, [], true],
]

const GRAPH: Case[] = [
  ['an undefined dependency', longrun('a', { 'dependencies.d/b': '' }), ['S6_UNDEFINED_DEPENDENCY'], false],
  [
    'CRLF in a list of names',
    { ...longrun('b'), ...longrun('a', { dependencies: 'b\r\n' }) },
    ['S6_UNDEFINED_DEPENDENCY'],
    false,
  ],
  ['an undefined member', bundle('b', ['a']), ['S6_UNDEFINED_MEMBER'], false],
  ['a service that depends on itself', longrun('a', { 'dependencies.d/a': '' }), ['S6_DEPENDENCY_CYCLE'], false],
  [
    'a cycle of two',
    { ...longrun('a', { dependencies: 'b\n' }), ...oneshot('b', { 'dependencies.d/a': '' }) },
    ['S6_DEPENDENCY_CYCLE'],
    false,
  ],
  [
    'a cycle through a bundle',
    { ...longrun('a', { 'dependencies.d/b': '' }), ...bundle('b', ['a']) },
    ['S6_DEPENDENCY_CYCLE'],
    false,
  ],
  [
    'a cycle through a pipeline',
    { ...PIPE, ...longrun('app-log', { 'consumer-for': 'app\n', 'pipeline-name': 'p\n', 'dependencies.d/app': '' }) },
    ['S6_DEPENDENCY_CYCLE'],
    false,
  ],
  ['a bundle that contains itself', bundle('b', ['b']), ['S6_BUNDLE_CYCLE'], false],
  [
    'bundles that contain each other',
    { ...bundle('b', ['c']), ...bundle('c', ['b']), ...longrun('a') },
    ['S6_BUNDLE_CYCLE'],
    false,
  ],
  ['a dependency on a pipeline', { ...PIPE, ...longrun('x', { 'dependencies.d/app-pipeline': '' }) }, [], true],
  [
    'a list in both forms',
    { ...longrun('b'), ...longrun('a', { dependencies: 'b\n', 'dependencies.d/.keep': '' }) },
    ['S6_SHADOWED_LIST'],
    true,
  ],
  [
    'contents in both forms',
    { ...longrun('a'), ...bundle('b', ['a'], { contents: 'nobody\n' }) },
    ['S6_SHADOWED_LIST'],
    true,
  ],
]

const NUMBERS: Case[] = [
  ['a timeout with a unit', longrun('a', { 'timeout-up': '5s\n' }), ['S6_BAD_NUMBER'], false],
  ['a timeout with a blank', oneshot('a', { 'timeout-up': '5 \n' }), ['S6_BAD_NUMBER'], false],
  ['CRLF in a timeout', longrun('a', { 'timeout-kill': '5\r\n' }), ['S6_BAD_NUMBER'], false],
  ['an empty timeout', longrun('a', { 'timeout-kill': '' }), ['S6_BAD_NUMBER'], false],
  ['a negative timeout', longrun('a', { 'timeout-finish': '-1\n' }), ['S6_BAD_NUMBER'], false],
  ['a number above 32 bits', longrun('a', { 'timeout-kill': '4294967296\n' }), ['S6_BAD_NUMBER'], false],
  ['the largest number', longrun('a', { 'timeout-kill': '4294967295\n' }), [], true],
  ['newlines after a timeout', longrun('a', { 'timeout-up': '5\n\n' }), [], true],
  ['a second line of a timeout-up', longrun('a', { 'timeout-up': '5\n6\n' }), ['S6_BAD_NUMBER'], false],
  ['a second line of a timeout-kill', longrun('a', { 'timeout-kill': '5\nsoon\n' }), [], true],
  ['a tally above the limit', longrun('a', { 'max-death-tally': '9999\n' }), ['S6_BAD_NUMBER'], true],
  ['readiness on stdout', longrun('a', { ...READY, 'notification-fd': '1\n' }), ['S6_BAD_DESCRIPTOR'], true],
  ['one descriptor for two purposes', longrun('a', { ...READY, 'lock-fd': '3\n' }), ['S6_BAD_DESCRIPTOR'], false],
  [
    'one standard descriptor for two purposes',
    longrun('a', { ...READY, 'notification-fd': '2\n', 'lock-fd': '2\n' }),
    ['S6_BAD_DESCRIPTOR'],
    true,
  ],
  ['a word as descriptor', longrun('a', { ...READY, 'notification-fd': 'three\n' }), ['S6_BAD_NUMBER'], false],
  ['a signal that does not exist', longrun('a', { 'down-signal': 'SIGHALT\n' }), ['S6_BAD_SIGNAL'], true],
  ['CRLF in a signal', longrun('a', { 'reload-signal': 'SIGHUP\r\n' }), ['S6_BAD_SIGNAL'], true],
  [
    'signals in every spelling',
    {
      ...longrun('a', { 'down-signal': 'int\n', 'reload-signal': '10' }),
      ...longrun('b', { 'down-signal': 'SigQuit\n' }),
    },
    [],
    true,
  ],
]

const BOUNDS: Case[] = [
  ['a longrun that is never killed', longrun('a', { 'timeout-kill': absent }), ['S6_NO_TIMEOUT'], true],
  ['a kill timeout of zero', longrun('a', { 'timeout-kill': '0\n' }), ['S6_NO_TIMEOUT'], true],
  ['a oneshot without bounds', oneshot('a', { 'timeout-up': absent, down: '/bin/true\n' }), ['S6_NO_TIMEOUT'], true],
  [
    'a oneshot that has only a down',
    oneshot('a', { up: '', 'timeout-up': absent, down: 'true\n', 'timeout-down': '9\n' }),
    [],
    true,
  ],
  ['readiness without bound', longrun('a', { 'notification-fd': '3\n' }), ['S6_READINESS'], true],
  [
    'readiness of a logger by logutil-service',
    longrun('a', { ...READY, run: '#!/bin/sh\nexec logutil-service /var/log/a\n' }),
    ['S6_LOGGER_READINESS'],
    true,
  ],
  [
    'readiness of s6-log without -d',
    longrun('a', { ...READY, run: '#!/command/execlineb -P\ns6-log n3 /var/log/a\n' }),
    ['S6_LOGGER_READINESS'],
    true,
  ],
  [
    'readiness of s6-log',
    longrun('a', { ...READY, run: '#!/command/execlineb -P\ns6-log -b -d3 n3 /var/log/a\n' }),
    [],
    true,
  ],
  [
    'polling that gives up',
    longrun('a', { ...READY, run: '#!/bin/sh\nexec s6-notifyoncheck -w 500 ./a\n' }),
    ['S6_READINESS'],
    true,
  ],
  [
    'polling without a descriptor',
    longrun('a', { run: '#!/bin/sh\nexec s6-notifyoncheck -n 0 ./a\n' }),
    ['S6_READINESS'],
    true,
  ],
  [
    'polling without end',
    longrun('a', { ...READY, run: '#!/bin/sh\nexec s6-notifyoncheck -w 500 -n 0 ./a\n' }),
    [],
    true,
  ],
]

const PIPELINES: Case[] = [
  ['a pipeline', PIPE, [], true],
  [
    'a funnel',
    {
      ...longrun('a', { 'producer-for': 'l', run: PIPED }),
      ...longrun('b', { 'producer-for': 'l', run: PIPED }),
      ...longrun('l', { 'consumer-for': 'a\nb\n', 'pipeline-name': 'p' }),
    },
    [],
    true,
  ],
  [
    'a consumer that does not list back',
    { ...PIPE, 'app-log/consumer-for': '\n' },
    ['S6_PIPELINE', 'S6_PIPELINE_NAME'],
    false,
  ],
  [
    'a producer that does not list back',
    { ...PIPE, ...longrun('b'), 'app-log/consumer-for': 'app\nb\n' },
    ['S6_PIPELINE'],
    false,
  ],
  ['a consumer that does not exist', { ...PIPE, 'app/producer-for': 'nobody\n' }, ['S6_PIPELINE'], false],
  ['a producer that does not exist', { ...PIPE, 'app-log/consumer-for': 'app\nnobody\n' }, ['S6_PIPELINE'], false],
  ['a oneshot as consumer', { ...PIPE, ...oneshot('o'), 'app/producer-for': 'o\n' }, ['S6_PIPELINE'], false],
  ['a producer for two', { ...PIPE, ...longrun('b'), 'app/producer-for': 'app-log\nb\n' }, ['S6_PIPELINE'], false],
  ['a producer for none', longrun('a', { 'producer-for': '# later\n' }), ['S6_PIPELINE'], false],
  [
    'a pipeline without a name',
    { ...PIPE, ...longrun('app-log', { 'consumer-for': 'app' }), 'app-log/pipeline-name': absent },
    ['S6_PIPELINE_NAME'],
    true,
  ],
  ['a pipeline named like a service', { ...PIPE, 'app-log/pipeline-name': 'app\n' }, ['S6_PIPELINE_NAME'], false],
  ['two names for a pipeline', { ...PIPE, 'app-log/pipeline-name': 'p\nq\n' }, ['S6_PIPELINE_NAME'], false],
  ['a reserved pipeline name', { ...PIPE, 'app-log/pipeline-name': 's6rc-p\n' }, ['S6_BAD_NAME'], false],
  [
    'a reserved pipeline name that is passed over',
    longrun('a', { 'pipeline-name': 's6rc-p\n' }),
    ['S6_PIPELINE_NAME'],
    true,
  ],
  ['a pipeline name where no pipeline ends', longrun('a', { 'pipeline-name': 'p\n' }), ['S6_PIPELINE_NAME'], true],
  ['a producer whose errors are lost', { ...PIPE, 'app/run': '#!/bin/sh\nexec sleep 9\n' }, ['S6_STDERR_LOST'], true],
  [
    'a producer that moves its errors by execline',
    { ...PIPE, 'app/run': '#!/command/execlineb -P\nfdmove -c 2 1\nsleep 9\n' },
    [],
    true,
  ],
]

const ONESHOTS: Case[] = [
  ['an unmatched brace', oneshot('a', { up: 'foreground { true\n' }), ['S6_BAD_EXECLINE'], false],
  ['a brace too many', oneshot('a', { down: 'true }\n', 'timeout-down': '9' }), ['S6_BAD_EXECLINE'], false],
  ['an unclosed quote', oneshot('a', { up: 'echo "hi\n' }), ['S6_BAD_EXECLINE'], false],
  ['a bad escape in reload', oneshot('a', { reload: 'echo "\\0999"\n' }), ['S6_BAD_EXECLINE'], false],
  ['a shell script', oneshot('a', { up: '#!/bin/sh\nmkdir -p /x\n' }), ['S6_SHELL_IN_ONESHOT'], true],
  [
    'an execlineb shebang',
    oneshot('a', { up: '#!/command/execlineb -P\nmkdir -p /x\n' }),
    ['S6_SHELL_IN_ONESHOT'],
    true,
  ],
  ['two commands on two lines', oneshot('a', { up: 'mkdir -p /x\nchown nobody /x\n' }), ['S6_SHELL_IN_ONESHOT'], true],
  ['and', oneshot('a', { up: 'mkdir /x && chown nobody /x\n' }), ['S6_SHELL_IN_ONESHOT'], true],
  ['a pipe', oneshot('a', { up: 'cat /a | sort\n' }), ['S6_SHELL_IN_ONESHOT'], true],
  ['a semicolon', oneshot('a', { up: 'if [ -d /x ]; then true; fi\n' }), ['S6_SHELL_IN_ONESHOT'], true],
  ['a redirection', oneshot('a', { up: 'echo hi > /x\n' }), ['S6_SHELL_IN_ONESHOT'], true],
  ['a command substitution', oneshot('a', { up: 'echo $(date)\n' }), ['S6_SHELL_IN_ONESHOT'], true],
  ['an assignment', oneshot('a', { up: 'FOO=bar /bin/x\n' }), ['S6_SHELL_IN_ONESHOT'], true],
  ['a variable', oneshot('a', { up: 'mkdir -p $HOME/x\n' }), ['S6_SHELL_IN_ONESHOT'], true],
  ['single quotes', oneshot('a', { up: "sh -c 'echo hi'\n" }), ['S6_SHELL_IN_ONESHOT'], true],
  ['a shell called in so many words', oneshot('a', { up: 'sh -c "cd /x && echo $HOME | sort > y; true"\n' }), [], true],
  [
    'execline over several lines',
    oneshot('a', {
      up: '# prepare\nforeground { mkdir -p /x }\ns6-setuidgid nobody\nimportas HOME HOME\ntouch ${HOME}/x\n',
    }),
    [],
    true,
  ],
  [
    'a block of several commands',
    oneshot('a', { up: 'if { test -d /x }\n  ifelse { true } { echo a }\necho b\n' }),
    [],
    true,
  ],
  ['a joined line', oneshot('a', { up: 'mkdir -p \\\n  /x\n' }), [], true],
  ['CRLF in a command line', oneshot('a', { up: '/bin/true\r\n' }), [], true],
]

const SCRIPTS: Case[] = [
  ['CRLF in run', longrun('a', { run: '#!/bin/sh\r\nexec sleep 9\r\n' }), ['S6_LINE_ENDINGS'], true],
  ['CRLF below the shebang', longrun('a', { run: '#!/bin/sh\nexec sleep 9\r\n' }), ['S6_LINE_ENDINGS'], true],
  ['a byte order mark in finish', longrun('a', { finish: '\uFEFF#!/bin/sh\nexit 0\n' }), ['S6_LINE_ENDINGS'], true],
  ['no shebang', longrun('a', { run: 'exec sleep 9\n' }), ['S6_BAD_SHEBANG'], true],
  ['an empty run', longrun('a', { run: '' }), ['S6_BAD_SHEBANG'], true],
  ['a relative shebang', longrun('a', { run: '#!sh\nexec sleep 9\n' }), ['S6_BAD_SHEBANG'], true],
  [
    'with-contenv with an option',
    longrun('a', { run: '#!/command/with-contenv bash -e\nexec sleep 9\n' }),
    ['S6_BAD_SHEBANG'],
    true,
  ],
  ['env with two words', longrun('a', { run: '#!/usr/bin/env node --inspect\n' }), ['S6_BAD_SHEBANG'], true],
  ['env that splits', longrun('a', { run: '#!/usr/bin/env -S node --inspect\n' }), [], true],
  ['a binary', longrun('a', { run: '\u007fELF\u0002\u0001\r\n' }), [], true],
  [
    'an execline run that does not parse',
    longrun('a', { run: '#!/command/execlineb -P\nforeground { sleep 9\n' }),
    ['S6_BAD_EXECLINE'],
    true,
  ],
  ['a finish that sleeps', longrun('a', { finish: '#!/bin/sh\nsleep 10\n' }), ['S6_SLOW_FINISH'], true],
  ['a finish that loops', longrun('a', { finish: '#!/bin/sh\nwhile pgrep x; do :; done\n' }), ['S6_SLOW_FINISH'], true],
  [
    'a finish that is short',
    longrun('a', { finish: '#!/bin/sh\n# no sleep 5 here\necho "sleep 9"\nsleep 0.1\nexit 125\n' }),
    [],
    true,
  ],
  ['nginx in the background', longrun('a', { run: '#!/bin/sh\nexec /usr/sbin/nginx\n' }), ['S6_BACKGROUNDS'], true],
  ['nginx in the foreground', longrun('a', { run: '#!/bin/sh\nexec nginx -g "daemon off;"\n' }), [], true],
  [
    'nginx as a user',
    longrun('a', { run: '#!/bin/sh\nchown nginx /x\nexec s6-setuidgid nginx node server.js\n' }),
    [],
    true,
  ],
  ['an ampersand at the end', longrun('a', { run: '#!/bin/sh\nnode server.js &\n' }), ['S6_BACKGROUNDS'], true],
  ['a child and a wait', longrun('a', { run: '#!/bin/sh\nnode server.js &\nwait\n' }), [], true],
]

const ENVIRONMENT: Case[] = [
  ['values', longrun('a', { 'env/A': '1\n', 'env/EMPTY': '\n', 'env/.gitkeep': '' }), [], true],
  ['an equals sign in a name', longrun('a', { 'env/A=B': '1' }), ['S6_ENVIRONMENT'], true],
  ['a leading dot', longrun('a', { 'env/.A': '1' }), ['S6_ENVIRONMENT'], true],
  ['an empty value', longrun('a', { 'env/A': '' }), ['S6_ENVIRONMENT'], true],
  ['a directory among the values', longrun('a', { 'env/A/x': '' }), ['S6_ENVIRONMENT'], true],
  [
    'lines that are not read',
    longrun('a', { run: '#!/bin/sh\nexec s6-envdir ./env sleep 9\n', 'env/A': '1\n2\n' }),
    ['S6_ENVIRONMENT'],
    true,
  ],
  [
    'lines that are read',
    longrun('a', { run: '#!/bin/sh\nexec s6-envdir -fL ./env sleep 9\n', 'env/A': '1\n2\n' }),
    [],
    true,
  ],
  [
    'an environment that is wiped',
    longrun('a', { run: '#!/command/execlineb -P\ns6-envdir ./env\nwith-contenv\nsleep 9\n' }),
    ['S6_ENVIRONMENT'],
    true,
  ],
  ['env as a link', { ...longrun('a', { env: '-> ../.shared' }), '.shared/A': '1' }, ['S6_ENVIRONMENT'], true],
]

function under(directory: string, files: Files): Files {
  return Object.fromEntries(Object.entries(files).map(([path, text]) => [`${directory}/${path}`, text]))
}

const canCompile = compileVerdict([writeTree(longrun('a'))]).available
if (!canCompile) console.log('s6-rc-compile is not on PATH: verdicts are checked against the table only')

const groups = { NAMES, TYPES, FILES, GRAPH, NUMBERS, BOUNDS, PIPELINES, ONESHOTS, SCRIPTS, ENVIRONMENT }
for (const [group, cases] of Object.entries(groups)) {
  for (const [title, raw, codes, accepted] of cases) {
    test(`${group.toLowerCase()}: ${title}`, () => {
      const files = Object.fromEntries(Object.entries(raw).filter(([, text]) => text !== absent))
      const directory = writeTree(files)
      const findings = findingsOf(readSourceTree(directory))
      assert.equal([...new Set(findings.map((finding) => finding.diagnostic.code))].sort(), [...codes].sort())
      assert.is(!findings.some((finding) => finding.rejects), accepted)
      if (!canCompile) return
      const { diagnostics } = checkDirectory(directory)
      const disagreement = diagnostics.find((diagnostic) => diagnostic.code === 'S6_COMPILER_DISAGREES')
      assert.is(disagreement?.message, undefined)
      const sources = title === 'a name in two sources' ? [`${directory}/one`, `${directory}/two`] : [directory]
      const verdict = compileVerdict(sources)
      assert.is(verdict.available && verdict.accepted, accepted, verdict.available ? verdict.message : 'no verdict')
    })
  }
}

test.run()
