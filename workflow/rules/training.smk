# The features of fixed networks, and the runs: an experiment under a protocol with a seed each.


# Taking all cores, it is measured alone; with the highest priority, it is the first to run.
rule estimate:
    output:
        f"{RESULTS}/training/estimate.json",
    log:
        f"{RESULTS}/logs/training/estimate.log",
    priority: 100
    threads: 1024
    resources:
        mem_mb=growing(3000),
        runtime=growing(10),
    params:
        config=json.dumps(config),
        code=code_of("cxr.training.estimate"),
    shell:
        "python -m cxr --log {log} estimate --config {params.config:q} --cores {threads} --estimate {output}"


rule features:
    input:
        manifest=rules.manifest.output.manifest,
        split=rules.split.output,
        preprocessing=rules.normalisation.output,
        arrays=lambda wildcards: arrays_of(
            wildcards.protocol,
            settings.heads_on(study, wildcards.backbone, wildcards.protocol),
        ),
        digests=digests_of,
        weights=rules.weights.output.state,
        facts=rules.weights.output.facts,
    output:
        f"{RESULTS}/training/features/{{protocol}}/{{backbone}}.npz",
    log:
        f"{RESULTS}/logs/training/{{protocol}}/features/{{backbone}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/training/{{protocol}}/features/{{backbone}}.tsv"
    # The longest jobs wait for them, and start before the short ones.
    priority: 20
    threads: config.get("threads", 1)
    resources:
        gpu=1 if config["device"] == "cuda" else 0,
        gpu_mb=lambda wildcards: max(
            settings.gpu_mb(study, name)
            for name in settings.heads_on(
                study, wildcards.backbone, wildcards.protocol
            )
        ),
        mem_mb=growing(workload.memory_mb(study)),
        runtime=growing(60),
    params:
        settings=lambda wildcards: json.dumps(
            settings.features_settings(study, wildcards.backbone, wildcards.protocol)
        ),
        code=code_of("cxr.training.features"),
    shell:
        "python -m cxr --log {log} features --settings {params.settings:q} --manifest {input.manifest}"
        " --split {input.split} --preprocessing {input.preprocessing} --arrays {input.arrays} --weights {input.weights}"
        " --features {output} --threads {threads}"


# The first batch of the first experiment, for the figures.
rule first_batch:
    input:
        manifest=rules.manifest.output.manifest,
        split=expand(rules.split.output, protocol=FIRST["protocol"]),
        preprocessing=expand(rules.normalisation.output, protocol=FIRST["protocol"]),
        arrays=arrays_of(FIRST["protocol"], [FIRST["experiment"]]),
        digests=DIGESTS,
    output:
        f"{RESULTS}/training/first_batch.npz",
    log:
        f"{RESULTS}/logs/training/first_batch.log",
    benchmark:
        f"{RESULTS}/benchmarks/training/first_batch.tsv"
    group:
        "preprocessing"
    resources:
        mem_mb=growing(3000),
        runtime=growing(5),
    params:
        settings=json.dumps(settings.run_settings(study, **FIRST)),
        code=code_of("cxr.training.first_batch"),
    shell:
        "python -m cxr --log {log} first-batch --settings {params.settings:q} --manifest {input.manifest}"
        " --split {input.split} --preprocessing {input.preprocessing} --arrays {input.arrays} --batch {output}"


rule train:
    input:
        manifest=rules.manifest.output.manifest,
        split=rules.split.output,
        preprocessing=rules.normalisation.output,
        arrays=lambda wildcards: arrays_of(
            wildcards.protocol, experiments_of(wildcards)
        ),
        digests=digests_of,
        weights=weights_of,
        features=features_of,
    output:
        predictions=outputs_of_runs("predictions.csv"),
        history=outputs_of_runs("history.csv"),
        checkpoint=outputs_of_runs("checkpoint.pt"),
        record=outputs_of_runs("run.json"),
    log:
        f"{RESULTS}/logs/training/{{protocol}}/{JOB_NAME}/seed-{JOB_SEED}/train.log",
    benchmark:
        f"{RESULTS}/benchmarks/training/{{protocol}}/{JOB_NAME}/seed-{JOB_SEED}.tsv"
    wildcard_constraints:
        protocol="|".join(study.protocols),
    priority: 10
    threads: config.get("threads", 1)
    resources:
        gpu=1 if config["device"] == "cuda" else 0,
        gpu_mb=lambda wildcards: max(
            settings.gpu_mb(study, name) for name in experiments_of(wildcards)
        ),
        mem_mb=growing(workload.memory_mb(study)),
        runtime=minutes_of,
    params:
        runs=lambda wildcards: json.dumps(runs_of(wildcards)),
        weights=lambda wildcards, input: (
            f"--weights {input.weights}" if input.weights else ""
        ),
        features=lambda wildcards, input: (
            f"--features {input.features}" if input.features else ""
        ),
        archive=f"--archive {quote(str(ARCHIVE))}" if ARCHIVE else "",
        code=code_of("cxr.training.train"),
    shell:
        "python -m cxr --log {log} train --runs {params.runs:q} --manifest {input.manifest} --split {input.split}"
        " --preprocessing {input.preprocessing} --arrays {input.arrays} {params.weights} {params.features}"
        " {params.archive} --threads {threads}"


# Under a protocol with one choice flipped, a few experiments are run, each by a job of its own.
use rule train as train_ablation with:
    output:
        predictions=outputs_of_runs("predictions.csv", ["{experiment}"]),
        history=outputs_of_runs("history.csv", ["{experiment}"]),
        checkpoint=outputs_of_runs("checkpoint.pt", ["{experiment}"]),
        record=outputs_of_runs("run.json", ["{experiment}"]),
    log:
        f"{RESULTS}/logs/training/{{protocol}}/{{experiment}}/seed-{JOB_SEED}/train.log",
    benchmark:
        f"{RESULTS}/benchmarks/training/{{protocol}}/{{experiment}}/seed-{JOB_SEED}.tsv"
    wildcard_constraints:
        protocol="[^/]+~[^/]+",
    priority: 0


# Runs that the config takes from an archive of finished runs.
rule unpack_runs:
    input:
        archive=ARCHIVE or [],
        manifest=rules.manifest.output.manifest,
        split=expand(rules.split.output, protocol=[*study.protocols, *study.flips]),
    output:
        predictions=expand("{run}/predictions.csv", run=ARCHIVED),
        history=expand("{run}/history.csv", run=ARCHIVED),
        record=expand("{run}/run.json", run=ARCHIVED),
        explanations=expand(
            "{explanation}/{name}",
            explanation=ARCHIVED_EXPLANATIONS,
            name=["explanation.json", "maps.npz"],
        ),
    log:
        f"{RESULTS}/logs/training/unpack_runs.log",
    benchmark:
        f"{RESULTS}/benchmarks/training/unpack_runs.tsv"
    group:
        "preprocessing"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        config=json.dumps(config),
        code=code_of("cxr.training.archive"),
    shell:
        f"python -m cxr --log {{log}} unpack-runs --config {{params.config:q}} --results {RESULTS} --archive {{input.archive:q}}"


ruleorder: unpack_runs > train > train_ablation
