import { PROGRAM_NAMES, verbsOf } from './verb-table.ts'

const SERVICES = ['comfyui', 'a1111', 'worker', 'ollama', 'nginx', 'sidecar', 'gpu0', 'all']

/** The completion of all names of this program for a shell; services and GPUs are those of the machine at hand. */
export function completionScript(shell: 'bash' | 'zsh'): string {
  return shell === 'bash' ? bashScript() : zshScript()
}

/** Reads the names from the plan as text: completion is not to wait for a program that starts. */
const PLAN_READER = `_mgpu_plan() {
  local file
  for file in "$MACHINE_PLAN" /run/machinegen/root/etc/machinegen/plan.json /etc/machinegen/plan.json .machine/*/config/plan.json; do
    [ -n "$file" ] && [ -r "$file" ] && { printf '%s' "$file"; return; }
  done
}
_mgpu_services() {
  local file
  file=$(_mgpu_plan)
  echo ${SERVICES.join(' ')}
  [ -n "$file" ] && awk -F'"' '$2 == "type" && name != "" { print name } { name = $2 == "name" ? $4 : "" }' "$file"
}
_mgpu_gpus() {
  local file
  file=$(_mgpu_plan)
  echo all
  [ -n "$file" ] && sed -n 's/^ *"gpu": \\([0-9][0-9]*\\),\\{0,1\\}$/\\1/p' "$file" | sort -nu
}`

function verbCases(): string {
  return PROGRAM_NAMES.map((name) => `    ${name}) echo ${verbsOf(name).join(' ')} ;;`).join('\n')
}

const OPTIONS =
  '--json --wait --no-wait --reason --lines --follow --no-follow --level --grep --since --plan --machine --help'

function bashScript(): string {
  return `# Completion of ${PROGRAM_NAMES.join(', ')} for bash; "mgpu completion bash" prints it.
${PLAN_READER}
_mgpu_verbs() {
  case $1 in
${verbCases()}
  esac
}
_mgpu() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} name=\${COMP_WORDS[0]##*/} verbs words
  verbs=$(_mgpu_verbs "$name")
  case $before in
    --plan) COMPREPLY=($(compgen -f -- "$current")); return ;;
    --level) COMPREPLY=($(compgen -W 'debug info warn error' -- "$current")); return ;;
    completion) COMPREPLY=($(compgen -W 'bash zsh' -- "$current")); return ;;
  esac
  case $current in
    -*) words='${OPTIONS}' ;;
    *)
      case $name,$COMP_CWORD in
        wgpu,1 | mcomfy,1) words=$verbs ;;
        wgpu,*) words=$(_mgpu_gpus) ;;
        mcomfy,*) words='--json' ;;
        service,1) words=$(_mgpu_services) ;;
        *,1) words="$verbs $(_mgpu_services)" ;;
        *,2)
          case " $verbs " in
            *" $before "*) words="$(_mgpu_services) $(_mgpu_gpus)" ;;
            *) words=$verbs ;;
          esac ;;
        *) words=$(_mgpu_gpus) ;;
      esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _mgpu mgpu wgpu mcomfy
# The distribution's own stays where there is one.
complete -p service >/dev/null 2>&1 || complete -F _mgpu service
`
}

function zshScript(): string {
  return `#compdef mgpu wgpu mcomfy
# Completion of mgpu, wgpu and mcomfy for zsh; "mgpu completion zsh" prints it.
${PLAN_READER}
_mgpu_verbs() {
  case $1 in
${verbCases()}
  esac
}
_mgpu() {
  local -a verbs candidates
  local name=\${words[1]:t} before=\${words[CURRENT-1]}
  verbs=(\${=$(_mgpu_verbs $name)})
  case $before in
    --plan) _files; return ;;
    --level) compadd debug info warn error; return ;;
    completion) compadd bash zsh; return ;;
  esac
  if [[ $PREFIX == -* ]]; then
    compadd -- ${OPTIONS}
    return
  fi
  case $name,$((CURRENT - 1)) in
    wgpu,1 | mcomfy,1) candidates=($verbs) ;;
    wgpu,*) candidates=(\${(f)"$(_mgpu_gpus)"}) ;;
    mcomfy,*) candidates=() ;;
    *,1) candidates=($verbs \${=$(_mgpu_services)}) ;;
    *,2)
      if (( \${verbs[(Ie)$before]} )); then
        candidates=(\${=$(_mgpu_services)} \${(f)"$(_mgpu_gpus)"})
      else
        candidates=($verbs)
      fi ;;
    *) candidates=(\${(f)"$(_mgpu_gpus)"}) ;;
  esac
  compadd -a candidates
}
[ "$funcstack[1]" = _mgpu ] && _mgpu "$@" || compdef _mgpu mgpu wgpu mcomfy
`
}
