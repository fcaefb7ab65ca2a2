# For reviewers: is what is here what is claimed? A table on the terminal, and exit code 1 where something differs.
EXPECTED = f"paper/expected/{config['name']}.json"


rule verify:
    input:
        claims=rules.claims.output.record,
        paper=rules.paper.output,
    log:
        f"{RESULTS}/logs/review/verify.log",
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        config=json.dumps(config),
    # The record is no output: what a failing rule has made is deleted.
    shell:
        f"python -m cxr --log {{log}} verify --config {{params.config:q}} --results {RESULTS} --expected {EXPECTED}"
        f" --record {RESULTS}/review/verification.json"


# The author's own networks, tested without training; these rules run only where they are asked for.
CHECKPOINT = f"{RESULTS}/review/checkpoints/{{experiment}}"


rule download_checkpoint:
    output:
        checkpoint=f"{CHECKPOINT}/checkpoint.pth",
        source=f"{CHECKPOINT}/source.json",
    log:
        f"{RESULTS}/logs/review/checkpoints/{{experiment}}/download.log",
    benchmark:
        f"{RESULTS}/benchmarks/review/checkpoints/{{experiment}}/download.tsv"
    resources:
        mem_mb=growing(500),
        runtime=growing(30),
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
        f"{RESULTS}/logs/review/checkpoints/{{experiment}}/verify.log",
    benchmark:
        f"{RESULTS}/benchmarks/review/checkpoints/{{experiment}}/verify.tsv"
    threads: config.get("threads", 1)
    resources:
        mem_mb=growing(3000),
        runtime=growing(30),
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
