# A run: one experiment under one protocol with one seed.


rule train:
    input:
        manifest=rules.manifest.output.manifest,
        split=rules.split.output,
        preprocessing=rules.normalisation.output,
        arrays=lambda wildcards: expand(
            f"{RESULTS}/arrays/{{array}}.npy",
            array=study.arrays_of(wildcards.experiment, wildcards.protocol),
        ),
        code=source_files("cxr.training"),
    output:
        multiext(
            f"{RESULTS}/runs/{{protocol}}/{{experiment}}/seed-{{seed}}/",
            predictions="predictions.csv",
            history="history.csv",
            checkpoint="checkpoint.pt",
            record="run.json",
        ),
    log:
        f"{RESULTS}/logs/{{protocol}}/{{experiment}}/seed-{{seed}}/train.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{protocol}}/{{experiment}}/seed-{{seed}}.tsv"
    threads: config.get("threads", 1)
    resources:
        gpu=1 if config["device"] == "cuda" else 0,
        mem_mb=4000,
        runtime=240,
    params:
        settings=lambda wildcards: json.dumps(
            study.run_settings(
                wildcards.experiment, wildcards.protocol, int(wildcards.seed)
            )
        ),
        folder=f"{RESULTS}/runs/{{protocol}}/{{experiment}}/seed-{{seed}}",
    shell:
        "python -m cxr --log {log} train --settings {params.settings:q} --manifest {input.manifest} --split {input.split}"
        " --preprocessing {input.preprocessing} --arrays {input.arrays} --run {params.folder} --threads {threads}"
