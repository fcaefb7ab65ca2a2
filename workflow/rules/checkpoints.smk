# The author's own networks, tested with no training. Nothing here runs unless it is asked for.
CHECKPOINT = f"{RESULTS}/checkpoints/{{experiment}}"


rule download_checkpoint:
    output:
        checkpoint=f"{CHECKPOINT}/checkpoint.pth",
        source=f"{CHECKPOINT}/source.json",
    log:
        f"{RESULTS}/logs/checkpoints/{{experiment}}/download.log",
    benchmark:
        f"{RESULTS}/benchmarks/checkpoints/{{experiment}}/download.tsv"
    resources:
        mem_mb=500,
        runtime=30,
    params:
        settings=lambda wildcards: json.dumps(
            config["checkpoints"][wildcards.experiment]
        ),
        code=code_of("cxr.review.checkpoint_source"),
    shell:
        "python -m cxr --log {log} checkpoint --settings {params.settings:q} --checkpoint {output.checkpoint}"
        " --source {output.source}"


rule verify_checkpoint:
    input:
        checkpoint=rules.download_checkpoint.output.checkpoint,
        manifest=rules.manifest.output.manifest,
        cohort=rules.manifest.output.cohort,
        split=expand(rules.split.output, protocol="published"),
        preprocessing=expand(rules.normalisation.output, protocol="published"),
        arrays=lambda wildcards: arrays_of("published", [wildcards.experiment]),
        words=[
            "paper/published/results.json",
            "paper/experiments.yaml",
            "paper/protocols/published.yaml",
        ],
    output:
        predictions=f"{CHECKPOINT}/predictions.csv",
        record=f"{CHECKPOINT}/record.json",
    log:
        f"{RESULTS}/logs/checkpoints/{{experiment}}/verify.log",
    benchmark:
        f"{RESULTS}/benchmarks/checkpoints/{{experiment}}/verify.tsv"
    threads: config.get("threads", 1)
    resources:
        mem_mb=3000,
        runtime=30,
    params:
        code=code_of("cxr.review.checkpoints"),
    shell:
        "python -m cxr --log {log} verify-checkpoint --checkpoint {input.checkpoint} --experiment {wildcards.experiment}"
        f" --results {RESULTS}"
        " --record {output.record} --threads {threads}"


rule verify_checkpoints:
    input:
        expand(
            rules.verify_checkpoint.output.record,
            experiment=config.get("checkpoints", {}),
        ),
