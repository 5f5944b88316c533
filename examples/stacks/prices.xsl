<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output method="html" encoding="utf-8"/>
  <xsl:template match="/prices">
    <html>
      <head><title>Prices</title></head>
      <body>
        <h1>Prices</h1>
        <xsl:for-each select="price">
          <p><xsl:value-of select="@of"/>: <xsl:value-of select="."/></p>
        </xsl:for-each>
      </body>
    </html>
  </xsl:template>
</xsl:stylesheet>
