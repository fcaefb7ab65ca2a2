#!/bin/sh
# scheduler.sh submit CPUS MEGABYTES MINUTES GPUS SCRIPT    prints the job's id
# scheduler.sh status ID                                    prints running, success or failed
# scheduler.sh cancel ID...
# SCHEDULER names the scheduler: slurm, pbs (OpenPBS, PBS Pro), lsf or sge. What a job prints goes to logs/cluster/.
set -u

# Print success for the first word if it is the second, failed if it is empty or any other.
ended() {
  if [ "$1" = "$2" ]; then echo success; else echo failed; fi
}

submit() {
  cpus=$1 megabytes=$2 minutes=$3 gpus=$4 script=$5
  # Options for GPUs, for jobs that want any.
  gpu() { if [ "$gpus" != 0 ]; then echo "$1"; fi; }
  mkdir -p logs/cluster
  case $SCHEDULER in
    slurm) sbatch --parsable --cpus-per-task="$cpus" --mem="$megabytes" --time="$minutes" $(gpu "--gpus=$gpus") \
             --output=logs/cluster/%j.log "$script" ;;
    pbs) qsub -V -j oe -o logs/cluster/ -l "walltime=$minutes:00" \
           -l "select=1:ncpus=$cpus:mem=${megabytes}mb$(gpu ":ngpus=$gpus")" "$script" ;;
    lsf) bsub -n "$cpus" -R "span[hosts=1] rusage[mem=${megabytes}MB]" -M "${megabytes}MB" -W "$minutes" \
           $(gpu "-gpu num=$gpus") -o logs/cluster/%J.log sh "$script" | sed -n 's/^Job <\([0-9]*\)>.*/\1/p' ;;
    sge) qsub -terse -V -cwd -j y -o logs/cluster/ -pe smp "$cpus" -l "h_vmem=$((megabytes / cpus))M" \
           -l "h_rt=$((minutes * 60))" $(gpu "-l gpu=$gpus") "$script" ;;
  esac
}

status() {
  case $SCHEDULER in
    slurm)
      case $(squeue --noheader --states=all --jobs="$1" --format=%T) in
        PENDING | CONFIGURING | RUNNING | COMPLETING | SUSPENDED | REQUEUED) echo running ;;
        COMPLETED) echo success ;;
        *) echo failed ;;
      esac ;;
    pbs)
      job=$(qstat -x -f "$1")
      case $job in
        *"job_state = F"*) ended "$(echo "$job" | sed -n 's/^ *Exit_status = //p')" 0 ;;
        *"job_state = "*) echo running ;;
        *) echo failed ;;
      esac ;;
    lsf)
      case $(bjobs -noheader -o stat "$1") in
        DONE) echo success ;;
        EXIT | "") echo failed ;;
        *) echo running ;;
      esac ;;
    sge)
      # A job that has ended leaves the queue, and a little later it is in the accounts.
      if qstat -j "$1" >/dev/null 2>&1; then
        echo running
      else
        for _ in 1 2 3 4 5 6; do
          if account=$(qacct -j "$1" 2>/dev/null); then break; fi
          sleep 5
        done
        ended "$(echo "$account" | sed -n 's/^exit_status *\([0-9]*\).*/\1/p')" 0
      fi ;;
  esac
}

cancel() {
  case $SCHEDULER in
    slurm) scancel "$@" ;;
    lsf) bkill "$@" ;;
    pbs | sge) qdel "$@" ;;
  esac
}

case ${SCHEDULER:-} in
  slurm | pbs | lsf | sge) "$@" ;;
  *) echo "SCHEDULER is '${SCHEDULER:-}'; set it to slurm, pbs, lsf or sge." >&2; exit 1 ;;
esac
