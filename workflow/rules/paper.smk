# The paper.


rule paper:
    input:
        # Of all runs: whatever changes in one of them passes through this table.
        metrics=rules.evaluate.output.table,
        uncertainty=rules.uncertainty.output,
        baselines=rules.baselines.output.record,
        claims=rules.claims.output.record,
        ablations=rules.ablations.output.record,
        other_sizes=rules.other_sizes.output if OTHER_SIZES else [],
        duplicates=rules.duplicates.output,
        facts=rules.facts.output,
        cohort=rules.manifest.output.cohort,
        preprocessing=expand(rules.normalisation.output, protocol=study.protocols),
        # A folder has no checksum, and its date changes when files are copied; it is drawn with the pictures after it.
        figures=ancient(rules.figures.output.paper),
        transforms=rules.figures.output.transforms,
        test_images=rules.figures.output.test_images,
        selection=rules.evaluate.output.selection,
        # Not what reviewers expect of the results, which the paper does not quote.
        words=[
            str(path)
            for path in sorted(Path(PAPER).rglob("*"))
            if path.is_file() and path.parent.name != "expected"
        ],
        look=[str(path) for path in sorted(Path(TEMPLATES).iterdir())],
    output:
        html=report(
            f"{RESULTS}/paper/paper.html",
            caption="../report/paper_html.rst",
            category="Paper",
            labels={"form": "page"},
        ),
        pdf=report(
            f"{RESULTS}/paper/paper.pdf",
            caption="../report/paper_pdf.rst",
            category="Paper",
            labels={"form": "PDF"},
        ),
    log:
        f"{RESULTS}/logs/paper/paper.log",
    benchmark:
        f"{RESULTS}/benchmarks/paper/paper.tsv"
    group:
        "paper"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        config=json.dumps(config),
        code=code_of("cxr.paper.write"),
    shell:
        f"python -m cxr --log {{log}} paper --config {{params.config:q}} --results {RESULTS}"
        " --html {output.html} --pdf {output.pdf}"
