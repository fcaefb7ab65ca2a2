# What the networks look at: maps of some test images, measures over all of them, and the first filters.


# One job explains the runs that a job of the rule train has trained.
rule explain:
    input:
        records=expand(
            f"{RUN}/run.json", experiment=JOB_EXPERIMENTS, allow_missing=True
        ),
        predictions=expand(
            f"{RUN}/predictions.csv", experiment=JOB_EXPERIMENTS, allow_missing=True
        ),
        checkpoints=expand(
            f"{RUN}/checkpoint.pt", experiment=JOB_EXPERIMENTS, allow_missing=True
        ),
        manifest=rules.manifest.output.manifest,
        split=rules.split.output,
        preprocessing=rules.normalisation.output,
        lungs=rules.lungs.output.masks,
        arrays=lambda wildcards: arrays_of(
            wildcards.protocol, experiments_of(wildcards)
        ),
        digests=digests_of,
        weights=weights_of,
        layers=f"{PAPER}/explanations.yaml",
    output:
        maps=expand(
            f"{EXPLANATION}/maps.npz", experiment=JOB_EXPERIMENTS, allow_missing=True
        ),
        records=expand(
            f"{EXPLANATION}/explanation.json",
            experiment=JOB_EXPERIMENTS,
            allow_missing=True,
        ),
    log:
        f"{RESULTS}/logs/explanation/{{protocol}}/{JOB_NAME}/seed-{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/explanation/{{protocol}}/{JOB_NAME}/seed-{{seed}}.tsv"
    wildcard_constraints:
        protocol="|".join(study.protocols),
    threads: config.get("threads", 1)
    resources:
        gpu=1 if config["device"] == "cuda" else 0,
        gpu_mb=lambda wildcards: max(
            settings.gpu_mb(study, name) for name in experiments_of(wildcards)
        ),
        mem_mb=growing(workload.memory_mb(study)),
        runtime=growing(60),
    params:
        runs=lambda wildcards: [
            f"runs/{wildcards.protocol}/{experiment}/seed-{wildcards.seed}"
            for experiment in experiments_of(wildcards)
        ],
        weights=rules.train.params.weights,
        archive=rules.train.params.archive,
        code=code_of("cxr.explanation.explain"),
    shell:
        f"python -m cxr --log {{log}} explain-runs --results {RESULTS} --runs {{params.runs}} --arrays {{input.arrays}}"
        " {params.weights} {params.archive} --threads {threads}"


ruleorder: unpack_runs > explain
