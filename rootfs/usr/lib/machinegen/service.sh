# Functions that the scripts of all services share; sourced by a POSIX shell, by run and finish in the service directory.
# Waiting happens here, in the supervised process, so that a stop ends it at once.

# begin NAME RUN_DIRECTORY [STOP_SIGNAL EXIT_CODE]: notes the process for finish (s6 older than 2.13 does not tell its
# group) and for end_last_run, marks it and all that it will start, and makes the shell die of every signal that may be
# a service's down-signal, also while it waits. The last two: a death by its stop signal, and the exit code of shells for it.
begin() {
  service_name=$1
  run_directory=$2
  stop_signal=${3:-SIGTERM}
  stop_code=${4:-143}
  service_directory=$PWD
  # nginx lives in one of these, which the PATH of an image, or of a user, may lack.
  case :$PATH: in *:/usr/sbin:*) ;; *) PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin ;; esac
  heed_interrupts
  trap 'quiet; exit 130' INT
  trap 'quiet; exit 131' QUIT
  trap 'quiet; exit 143' TERM HUP USR1 USR2
  # The sidecar starts before setup has made these.
  [ -d "$run_directory/deaths" ] ||
    mkdir -p "$run_directory/pgid" "$run_directory/waiting" "$run_directory/ready" "$run_directory/deaths"
  end_last_run
  # Not before: whatever has the mark by now was left by another run.
  export MACHINEGEN_SERVICE="$run_directory:$service_name"
  look_at $$
  echo "$$ $began" 2>/dev/null >"$run_directory/pgid/$service_name" || :
}

# heed_interrupts: begins again with SIGINT and SIGQUIT at their defaults where they were ignored (PID 1 was a background
# job of a script): every process would inherit that, Python keeps to it, and no shell can undo it.
heed_interrupts() {
  heeds=no
  trap 'heeds=yes' INT
  kill -s INT $$
  [ $heeds = yes ] && return
  env --default-signal=INT true 2>/dev/null && exec env --default-signal=INT,QUIT sh "$0" "$service_name"
}

# look_at PID: sets "began" to the start of a process, which with its pid is its identity; empty where there is none.
look_at() {
  began=
  { read -r facts <"/proc/$1/stat"; } 2>/dev/null || return 0
  # The name in parentheses may hold anything; behind it come the state and 18 more fields before the start.
  set -- ${facts##*) }
  [ "$1" = Z ] || began=${20}
}

# end_last_run: ends a run that finish never saw, as its supervisor was killed, or what finish could not wait for: it
# still has the port and the GPU.
end_last_run() {
  { read -r group noted <"$run_directory/pgid/$service_name"; } 2>/dev/null || return 0
  look_at "$group"
  if [ -n "$began" ] && [ "$began" = "$noted" ]; then
    say "ends its last run, whose supervisor was killed"
    kill -s KILL -- "-$group"
    while [ "$began" = "$noted" ]; do
      pause 0.05
      look_at "$group"
    done
  fi
  end_survivors 200 || say "starts although these of its last run cannot be ended:$pids"
}

# end_survivors ROUNDS: kills what the service has started and what outlived it outside its process group (a child that
# made a session of its own and holds GPU memory), and waits for the end of each for ROUNDS twentieths of a second:
# what is gone holds no memory. Fails where one is left; "pids" names them.
end_survivors() {
  rounds=$1
  pids=
  while :; do
    survivors=$(grep -lszxF "MACHINEGEN_SERVICE=$run_directory:$service_name" /proc/[0-9]*/environ 2>/dev/null)
    for file in $survivors; do
      pid=${file#/proc/}
      pid=${pid%/environ}
      case "$pids " in *" $pid "*) continue ;; esac
      pids="$pids $pid"
      echo "$service_name: ends process $pid, which its last run left behind"
    done
    [ -n "$pids" ] || return 0
    kill -s KILL $pids 2>/dev/null
    # A process that ends has lost its mark before it gives back what it holds.
    left=
    for pid in $pids; do
      look_at "$pid"
      [ -z "$began" ] || left="$left $pid"
    done
    pids=$left
    [ -n "$pids$survivors" ] || return 0
    rounds=$((rounds - 1))
    [ "$rounds" -gt 0 ] || break
    [ -z "$pids" ] || pause 0.05
  done
  [ -z "$pids" ]
}

# say WHAT: one line in the service's log, and the reason that the sidecar shows while the service waits.
say() {
  echo "$service_name: $1"
  echo "$1" >"$run_directory/waiting/$service_name" 2>/dev/null || :
}

quiet() {
  rm -f "$run_directory/waiting/$service_name"
}

# A shell sees a signal while it waits for a background process, not while one runs in the foreground.
pause() {
  sleep "$1" &
  wait $!
}

# deaths_within SECONDS: how often the service died by itself lately, from the supervisor's own record. The labels are
# TAI64N: hexadecimal seconds of a fixed width, so that the order of the texts is the order of the times.
deaths_within() {
  now=$(echo | s6-tai64n)
  now=${now#@}
  # What it stamped, an empty line, stands behind a space.
  now=${now%% *}
  since=$(printf '@%016x' $((0x${now%????????} - $1)))
  deaths=0
  while read -r label how; do
    case $how in
      # By a signal that asks for the end, or with the exit code that shells make of it.
      'signal SIGINT' | 'signal SIGQUIT' | 'signal SIGTERM' | "signal $stop_signal") ;;
      'exitcode 130' | 'exitcode 131' | 'exitcode 143' | "exitcode $stop_code") ;;
      *) if [ "$label" \> "$since" ]; then deaths=$((deaths + 1)); fi ;;
    esac
  done <<RECORDS
$(s6-svdt . 2>/dev/null)
RECORDS
}

# back_off WINDOW_SECONDS DELAY_SECONDS...: waits the delay for the number of deaths in the window (first delay: none);
# the last one holds for all further deaths. Restarts for which the sidecar found a reason count as deaths. A service that
# was given up runs because a person wants it: it starts anew.
back_off() {
  if [ -e given-up ]; then
    rm -f given-up "$run_directory/faults/$service_name"
    forget_deaths
    return
  fi
  deaths_within "$1"
  { read -r faults <"$run_directory/faults/$service_name"; } 2>/dev/null && deaths=$((deaths + faults))
  shift
  while [ "$deaths" -gt 0 ] && [ $# -gt 1 ]; do
    deaths=$((deaths - 1))
    shift
  done
  [ "$1" = 0 ] && return
  say "starts again in $1 s"
  pause "$1"
}

# wait_for NAME...: waits until the gate of each service is open.
wait_for() {
  for dependency; do
    [ -e "$run_directory/ready/$dependency" ] && continue
    say "waits for $dependency"
    until [ -e "$run_directory/ready/$dependency" ]; do pause 0.2; done
  done
}

# wait_for_gpu: waits until the sidecar has seen that the last run holds no memory of the GPU any more, ten seconds at
# the most.
wait_for_gpu() {
  rounds=50
  while [ "$rounds" -gt 0 ] && [ -e "$run_directory/held/$service_name" ]; do
    [ "$rounds" -lt 50 ] || say "waits for the GPU memory of its last run"
    rounds=$((rounds - 1))
    pause 0.2
  done
}

# require_file PATH: ends with a clear message where the program is not installed.
require_file() {
  [ -e "$1" ] && return
  echo "cannot start $service_name: \"$1\" does not exist"
  exit 1
}

# enter DIRECTORY: makes it the working directory of the program.
enter() {
  cd "$1" && return
  echo "cannot start $service_name: \"$1\" is no directory that it can enter"
  exit 1
}

# prefer_virtual_environment: the Python of venv/ in the working directory, where there is one.
prefer_virtual_environment() {
  if [ -x venv/bin/python3 ]; then export PATH="$PWD/venv/bin:$PATH"; fi
}

# live_at_home_of USER: s6-setuidgid changes the user, not HOME; caches would go to a home that the user cannot write.
live_at_home_of() {
  while IFS=: read -r name _ _ _ _ home _; do
    if [ "$name" = "$1" ]; then export HOME="$home"; fi
  done </etc/passwd
}

# share_threads INSTANCES: gives the numeric libraries of each instance its share of the CPUs that the container may
# use; without it each starts a thread for every CPU of the host.
share_threads() {
  cpus=$(nproc)
  if read -r quota period 2>/dev/null </sys/fs/cgroup/cpu.max && [ "$quota" != max ]; then
    allowed=$(((quota + period - 1) / period))
    [ "$allowed" -lt "$cpus" ] && cpus=$allowed
  fi
  threads=$((cpus / $1))
  [ "$threads" -lt 1 ] && threads=1
  export OMP_NUM_THREADS=$threads MKL_NUM_THREADS=$threads OPENBLAS_NUM_THREADS=$threads
}

# ended NAME RUN_DIRECTORY EXIT_CODE SIGNAL SERVICE [PROCESS_GROUP]: what finish does first: closes the gate and kills
# what is left of the process group (a worker that holds the port), and what left the group. A process that takes its
# time to end (the driver gives back its GPU memory) is waited for by the next run.
ended() {
  service_name=$1
  run_directory=$2
  rm -f "$run_directory/ready/$service_name" "$run_directory/waiting/$service_name"
  group=
  { read -r group _ <"$run_directory/pgid/$service_name"; } 2>/dev/null
  group=${6:-$group}
  [ -n "$group" ] && kill -s KILL -- "-$group" 2>/dev/null
  end_survivors 20 && rm -f "$run_directory/pgid/$service_name"
}

# forget_deaths: gives the service its whole budget back. The sidecar counts all deaths, also those that count no more.
forget_deaths() {
  cat supervise/death_tally >>"$run_directory/deaths/$service_name" 2>/dev/null
  s6-svdt-clear .
}

# stop_was_wanted: whether somebody asked the service to stay down; its deaths so far then count no more.
stop_was_wanted() {
  [ "$(s6-svstat -o wantedup . 2>/dev/null)" = false ] && forget_deaths
}

# give_up_after WINDOW_SECONDS DEATHS EXIT_CODES: ends finish, with 125, which makes the supervisor leave the service
# down, once so many deaths with such codes lie in the window.
give_up_after() {
  s6-permafailon "$@" true
  code=$?
  [ $code = 125 ] && : >given-up
  exit $code
}

# farewell SIDECAR_DIRECTORY: tells the sidecar that the machine stops. What depends on all services is also taken down
# by `s6-rc -d change gpu0`; it is a stop only where s6-rc takes down all.
farewell() {
  everything=unknown
  for process in /proc/[0-9]*; do
    { read -r name <"$process/comm"; } 2>/dev/null && [ "$name" = s6-rc ] || continue
    [ $everything = yes ] || everything=no
    for word in $(tr '\0' ' ' 2>/dev/null <"$process/cmdline"); do
      case $word in
        change) break ;;
        -*a*) everything=yes ;;
      esac
    done
  done
  [ $everything = no ] || s6-svc -1 "$1"
}
