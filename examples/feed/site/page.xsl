<?xml version="1.0" encoding="utf-8"?>
<!-- What all pages have in common; imported by the stylesheets beside it. -->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output method="html" encoding="utf-8" indent="no" doctype-system="about:legacy-compat"/>
  <xsl:template name="page">
    <xsl:param name="title"/>
    <xsl:param name="body"/>
    <html lang="en">
      <head>
        <meta name="viewport" content="width=device-width"/>
        <title><xsl:value-of select="$title"/></title>
        <style>
          body { font: 18px/1.5 Georgia, serif; max-width: 38em; margin: 2em auto; padding: 0 1em; color: #123; background: #f6f9fb }
          h1 { border-bottom: 4px solid #06a; padding-bottom: .2em }
          h2 { margin: 1.2em 0 0; font-size: 1.2em }
          a { color: #06a }
          time, small { color: #678; font: 14px/1.5 sans-serif }
          table { border-collapse: collapse; width: 100% }
          td, th { text-align: left; padding: .3em .6em; border-bottom: 1px solid #ccd }
        </style>
      </head>
      <body>
        <h1><xsl:value-of select="$title"/></h1>
        <xsl:copy-of select="$body"/>
      </body>
    </html>
  </xsl:template>
</xsl:stylesheet>
