# Pretrained weights, and the runs: an experiment under a protocol with a seed each.


rule weights:
    input:
        code=source_files("cxr.weights"),
    output:
        state=f"{RESULTS}/weights/{{backbone}}.pt",
        facts=f"{RESULTS}/weights/{{backbone}}.json",
    log:
        f"{RESULTS}/logs/weights/{{backbone}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/weights/{{backbone}}.tsv"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=lambda wildcards: json.dumps(
            study.weights_settings(wildcards.backbone)
        ),
    shell:
        "python -m cxr --log {log} weights --settings {params.settings:q} --weights {output.state} --facts {output.facts}"


# A job trains one run, or all experiments of a protocol and a seed one after another (config key one_process).
JOB = "all" if config.get("one_process") else "{experiment}"
TOGETHER = study.experiments if config.get("one_process") else [JOB]
RUN = f"{RESULTS}/runs/{{protocol}}/{{experiment}}/seed-{{seed}}"


def runs_of(wildcards):
    """The settings of a job's runs by their folders."""
    protocol, seed = wildcards.protocol, int(wildcards.seed)
    return {
        RUN.format(
            protocol=protocol, experiment=experiment, seed=seed
        ): study.run_settings(experiment, protocol, seed)
        for experiment in expand(TOGETHER, **dict(wildcards.items()))
    }


def arrays_of(wildcards):
    # The manifest's hashes tell of other images, and an array has no checksum for its size: its date says nothing.
    experiments = expand(TOGETHER, **dict(wildcards.items()))
    names = {
        name
        for experiment in experiments
        for name in study.arrays_of(experiment, wildcards.protocol)
    }
    return ancient(expand(f"{RESULTS}/arrays/{{array}}.npy", array=sorted(names)))


def weights_of(wildcards):
    experiments = expand(TOGETHER, **dict(wildcards.items()))
    backbones = {
        study.pretrained_backbone(experiment, wildcards.protocol)
        for experiment in experiments
    } - {None}
    return expand(rules.weights.output.state, backbone=sorted(backbones))


rule train:
    input:
        manifest=rules.manifest.output.manifest,
        split=rules.split.output,
        preprocessing=rules.normalisation.output,
        arrays=arrays_of,
        weights=weights_of,
        code=source_files("cxr.training"),
    output:
        predictions=expand(
            f"{RUN}/predictions.csv", experiment=TOGETHER, allow_missing=True
        ),
        history=expand(f"{RUN}/history.csv", experiment=TOGETHER, allow_missing=True),
        checkpoint=expand(
            f"{RUN}/checkpoint.pt", experiment=TOGETHER, allow_missing=True
        ),
        record=expand(f"{RUN}/run.json", experiment=TOGETHER, allow_missing=True),
    log:
        f"{RESULTS}/logs/{{protocol}}/{JOB}/seed-{{seed}}/train.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{protocol}}/{JOB}/seed-{{seed}}.tsv"
    threads: config.get("threads", 1)
    resources:
        gpu=1 if config["device"] == "cuda" else 0,
        mem_mb=4000,
        runtime=240,
    params:
        runs=lambda wildcards: json.dumps(runs_of(wildcards)),
        weights=lambda wildcards, input: (
            f"--weights {input.weights}" if input.weights else ""
        ),
    shell:
        "python -m cxr --log {log} train --runs {params.runs:q} --manifest {input.manifest} --split {input.split}"
        " --preprocessing {input.preprocessing} --arrays {input.arrays} {params.weights} --threads {threads}"
