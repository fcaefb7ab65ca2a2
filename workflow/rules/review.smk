# For reviewers: is what is here what is claimed? A table on the terminal, and exit code 1 where something differs.
EXPECTED = f"{PAPER}/expected/{config['name']}.json"


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
        f"python -m cxr --log {{log}} verify --config {{params.config:q}} --results {RESULTS} --expected {quote(EXPECTED)}"
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
            f"{PAPER}/published/results.json",
            f"{PAPER}/experiments.yaml",
            f"{PAPER}/protocols/published.yaml",
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


# The finished paper as one file to publish: an RO-Crate, and the crate as a zip file with checksums.
rule crate:
    input:
        paper=rules.paper.output,
        claims=[rules.claims.output.record, rules.claims.output.table],
        figures=ancient(rules.figures.output.paper),
        evaluation=[
            rules.evaluate.output.metrics,
            rules.evaluate.output.table,
            rules.uncertainty.output,
            rules.baselines.output.record,
            rules.ablations.output.record,
        ],
        runs=expand(
            "{run}/{name}",
            run=RUNS,
            name=["run.json", "history.csv", "predictions.csv"],
        ),
        explanations=EXPLANATIONS,
    output:
        directory(f"{RESULTS}/review/crate"),
    log:
        f"{RESULTS}/logs/review/crate.log",
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        config=json.dumps(config),
        code=code_of("cxr.review.crate"),
    shell:
        f"python -m cxr --log {{log}} crate --config {{params.config:q}} --results {RESULTS} --crate {{output}}"


rule archive:
    input:
        rules.crate.output,
    output:
        f"{RESULTS}/review/{config['name']}.zip",
    log:
        f"{RESULTS}/logs/review/archive.log",
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_of("cxr.review.paper_archive"),
    shell:
        "python -m cxr --log {log} archive --crate {input} --archive {output}"
